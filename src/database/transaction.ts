import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database } from './tables.ts'

/** Runs a change and its audit event as one transaction. */
export function transact<Result>(
  db: Kysely<Database>,
  change: (trx: Transaction<Database>) => Promise<Result>,
): Promise<Result> {
  return db.transaction().execute(change)
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
    const result = await change(trx)
    await sql`select pg_advisory_xact_lock(4207, 1)`.execute(trx)
    return result
  })
}
