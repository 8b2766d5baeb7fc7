import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'

/** What figures were measured on. */
export function describeMachine(): string {
  const date = new Date().toISOString().slice(0, 10)
  return `Measured on ${date} on ${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node.js ${process.version}`
}

export function markdownTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const alignments = headings.map((_heading, column) => (column === 0 ? '---' : '---:'))
  return [headings, alignments, ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

/**
 * Puts `text` between `<!-- name -->` and `<!-- end of name -->`; what is written around them stays. Throws when the
 * page has no such marks.
 */
export async function writeBetweenMarks(page: URL, name: string, text: string): Promise<void> {
  const marks = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(<!-- end of ${name} -->)`)
  const before = await readFile(page, 'utf8')
  if (!marks.test(before)) throw new Error(`${page.pathname} has no marks for ${name}`)
  await writeFile(
    page,
    before.replace(marks, (_all, start, end) => `${start}\n${text}\n\n${end}`),
  )
}
