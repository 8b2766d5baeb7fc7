import { type Kysely, sql } from 'kysely'
import type { Database } from '../tables.ts'

/** How the keys of one account stand. */
export type KeySummary = {
  accountId: string
  /** Neither revoked nor expired, disabled ones included. */
  present: number
  /** Those that work now. */
  active: number
  /** When the next of the active ones runs out. */
  nextExpiry: Date | null
}

/** The keys of these accounts in figures; an account without any is not among them. */
export async function summarizeKeys(
  db: Kysely<Database>,
  accountIds: readonly string[],
  now: Date,
): Promise<KeySummary[]> {
  if (accountIds.length === 0) return []
  const rows = await db
    .selectFrom('keys')
    .select(['accountId'])
    .select([
      sql<string>`count(*)`.as('present'),
      sql<string>`count(*) filter (where status = 'active')`.as('active'),
      sql<Date | null>`min(expires_at) filter (where status = 'active')`.as('nextExpiry'),
    ])
    .where('accountId', 'in', accountIds)
    .where('status', '!=', 'revoked')
    .where((where) => where.or([where('expiresAt', 'is', null), where('expiresAt', '>', now)]))
    .groupBy('accountId')
    .execute()
  return rows.map((row) => ({ ...row, present: Number(row.present), active: Number(row.active) }))
}

/** Names of roles. */
export function listRoleNames(
  db: Kysely<Database>,
  ids: readonly string[],
): Promise<{ id: string; name: string }[]> {
  if (ids.length === 0) return Promise.resolve([])
  return db.selectFrom('roles').select(['id', 'name']).where('id', 'in', ids).execute()
}
