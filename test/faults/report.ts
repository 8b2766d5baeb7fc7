import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Ledger, Losses } from '../support/steady-load.ts'

/** One line of docs/reliability.md. */
export type Finding = {
  faults: number
  ledger: Ledger
  losses: Losses
  /** Milliseconds from each fault to the first token after it; without those that a test waited for on purpose. */
  recoveries: readonly number[]
}

const FOLDER = join(import.meta.dirname, 'results')

/**
 * Writes down what a fault test measured: a line of JSON in a folder that git ignores, from which `npm run faults`
 * makes the table in docs/reliability.md.
 */
export async function report(fault: string, { faults, ledger, losses, recoveries }: Finding): Promise<void> {
  const sorted = [...recoveries].sort((one, other) => one - other)
  const line = {
    fault,
    faults,
    requests: ledger.requests,
    unavailable: ledger.unavailable,
    broken: ledger.broken,
    wrong: ledger.wrong.length,
    longest: Math.round(ledger.longest),
    recovery: Math.round(sorted[sorted.length >> 1] ?? 0),
    slowestRecovery: Math.round(sorted.at(-1) ?? 0),
    ...losses,
  }
  await mkdir(FOLDER, { recursive: true })
  await appendFile(join(FOLDER, 'faults.jsonl'), `${JSON.stringify(line)}\n`)
}
