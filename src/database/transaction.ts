import { type Kysely, sql, type Transaction } from 'kysely'
import { withNotedEvents } from './noted-events.ts'
import type { Database } from './tables.ts'

/** Runs a change as one transaction, which ends with writing the audit events that it has noted (promise 7). */
export function transact<Result>(
  db: Kysely<Database>,
  change: (trx: Transaction<Database>) => Promise<Result>,
): Promise<Result> {
  return db.transaction().execute((trx) => withNotedEvents(trx, change))
}

/**
 * The same for a change that ends authority: disabling or deleting a key, an account, an organization.
 *
 * Just before it commits it waits for every batch of grants under way, and holds back those that begin until
 * the commit is done (`record_grants` takes the same lock shared). So once this returns, no node issues a
 * token that the change forbids: not even one whose request was half-way (promise 1). The lock is held for
 * the time of one commit; revocations are rare.
 */
export function transactEnding<Result>(
  db: Kysely<Database>,
  change: (trx: Transaction<Database>) => Promise<Result>,
): Promise<Result> {
  return db.transaction().execute(async (trx) => {
    const result = await withNotedEvents(trx, change)
    await sql`select pg_advisory_xact_lock(4207, 1)`.execute(trx)
    return result
  })
}
