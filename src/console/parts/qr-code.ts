import { encode } from 'uqr'
import { type Html, html } from '../html.ts'

/** ISO/IEC 18004 §9.1: readers need four light modules around the code. */
const QUIET_MODULES = 4

/**
 * A text as a QR code, drawn here: what it bears is a secret, and goes to no service that would draw it. `label` says what it
 * is to those who do not see it.
 */
export function qrCode(text: string, label: string): Html {
  const { data, size } = encode(text, { ecc: 'M', border: QUIET_MODULES })
  return html`<svg class="qr-code" viewBox="0 0 ${size} ${size}" role="img" aria-label="${label}" shape-rendering="crispEdges"><rect class="qr-paper" width="${size}" height="${size}"/><path class="qr-ink" d="${toPath(data)}"/></svg>`
}

/** Each run of dark modules in a row is a bar of height one. */
function toPath(rows: readonly (readonly boolean[])[]): string {
  return rows
    .flatMap((row, y) => runsOf(row).map(([x, width]) => `M${x} ${y}h${width}v1h-${width}z`))
    .join('')
}

function runsOf(row: readonly boolean[]): [start: number, length: number][] {
  const runs: [number, number][] = []
  row.forEach((isDark, x) => {
    const last = runs.at(-1)
    if (!isDark) return
    if (last !== undefined && last[0] + last[1] === x) last[1]++
    else runs.push([x, 1])
  })
  return runs
}
