import { setTimeout as sleep } from 'node:timers/promises'

const PATIENCE_MILLISECONDS = 10_000

/** What `look` finds once it finds something. Throws when that takes too long. */
export async function until<Found>(look: () => Promise<Found | undefined>): Promise<Found> {
  const giveUpAt = performance.now() + PATIENCE_MILLISECONDS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > giveUpAt) throw new Error(`in vain: ${look}`)
    await sleep(20)
  }
}
