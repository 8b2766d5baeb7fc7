import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database } from '../tables.ts'

/** Stores the one set-up link there will ever be. Answers whether it was the first; of many nodes one is told so. */
export async function insertSetUpLink(
  trx: Transaction<Database>,
  link: { digest: Buffer; createdAt: Date; expiresAt: Date },
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('setUpLink')
    .values(link)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return (numInsertedOrUpdatedRows ?? 0n) > 0n
}

/** Whether the link of that digest can still be used. */
export async function isSetUpLinkLive(db: Kysely<Database>, digest: Buffer, now: Date): Promise<boolean> {
  const found = await db
    .selectFrom('setUpLink')
    .select('isOnly')
    .where('digest', '=', digest)
    .where('usedAt', 'is', null)
    .where('expiresAt', '>', now)
    .executeTakeFirst()
  return found !== undefined
}

/** Uses the link up. Of two that come at once, one gets it. */
export async function takeSetUpLink(trx: Transaction<Database>, digest: Buffer, now: Date): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('setUpLink')
    .set({ usedAt: now })
    .where('digest', '=', digest)
    .where('usedAt', 'is', null)
    .where('expiresAt', '>', now)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Whether the operator organization has an administrator, of whatever state but deleted. */
export async function hasOperatorAdministrator(db: Kysely<Database>): Promise<boolean> {
  const { rows } = await sql<{ present: boolean }>`
    select exists (
      select from accounts a join organizations o on o.id = a.organization_id and o.is_operator
      where a.kind = 'administrator' and a.status != 'deleted') as present`.execute(db)
  return rows[0]?.present === true
}
