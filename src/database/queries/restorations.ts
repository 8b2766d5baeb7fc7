import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../tables.ts'

/** Notes that the database was put back from a backup. */
export async function insertRestoration(trx: Transaction<Database>, restoredAt: Date): Promise<void> {
  await trx
    .insertInto('restorations')
    .values({ restoredAt })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** When the database was last put back from a backup; undefined when it never was. */
export async function findLastRestoration(db: Kysely<Database>): Promise<Date | undefined> {
  const row = await db
    .selectFrom('restorations')
    .select('restoredAt')
    .orderBy('restoredAt', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.restoredAt
}
