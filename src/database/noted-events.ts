import type { Transaction } from 'kysely'
import { appendAuditEvents, type NewAuditEvent } from './queries/audit-chain.ts'
import type { Database } from './tables.ts'

/** What each transaction under way has noted so far. */
const noted = new WeakMap<Transaction<Database>, NewAuditEvent[]>()

/**
 * Leaves events to be written when the transaction's work is done, and in it: a rule may note them whenever it
 * knows them. Throws for a transaction that was not opened by `transact`, which would lose them.
 */
export function noteAuditEvents(trx: Transaction<Database>, events: readonly NewAuditEvent[]): void {
  const list = noted.get(trx)
  if (list === undefined) throw new Error('audit events need a transaction opened by transact')
  list.push(...events)
}

/** Runs the work of a transaction, then writes what it has noted. */
export async function withNotedEvents<Result>(
  trx: Transaction<Database>,
  work: (trx: Transaction<Database>) => Promise<Result>,
): Promise<Result> {
  const events: NewAuditEvent[] = []
  noted.set(trx, events)
  const result = await work(trx)
  await appendAuditEvents(trx, events)
  return result
}
