import { type Kysely, sql } from 'kysely'
import type { Database } from '../tables.ts'
import { recordsOfDay } from '../token-tallies.ts'

/** How many tokens a key got on a day. */
export type KeyTally = { day: Date; keyId: string; tokens: number }

/** The tallies of an account from a day on. */
export async function listTallies(db: Kysely<Database>, accountId: string, from: Date): Promise<KeyTally[]> {
  const rows = await db
    .selectFrom('tokenTallies')
    .select(['day', 'keyId', 'tokens'])
    .where('accountId', '=', accountId)
    .where('day', '>=', from)
    .execute()
  return rows.map((row) => ({ ...row, tokens: Number(row.tokens) }))
}

/** The days that were counted, from one on. */
export async function listTalliedDays(db: Kysely<Database>, from: Date): Promise<Date[]> {
  const rows = await db.selectFrom('talliedDays').select('day').where('day', '>=', from).execute()
  return rows.map(({ day }) => day)
}

/**
 * Counts the tokens that an account got on one day from their records: for a day that is not over. `day` in
 * milliseconds, at midnight UTC.
 */
export async function countTokensOfDay(
  db: Kysely<Database>,
  accountId: string,
  day: number,
): Promise<KeyTally[]> {
  const { firstId, nextId, from, to } = recordsOfDay(day)
  const rows = await db
    .selectFrom('grantRecords')
    .select(['keyId', sql<string>`count(*)`.as('tokens')])
    .where('accountId', '=', accountId)
    .where('id', '>=', firstId)
    .where('id', '<', nextId)
    .where('assertionExpiresAt', '>=', from)
    .where('assertionExpiresAt', '<', to)
    .groupBy('keyId')
    .execute()
  return rows.map(({ keyId, tokens }) => ({ day: new Date(day), keyId, tokens: Number(tokens) }))
}
