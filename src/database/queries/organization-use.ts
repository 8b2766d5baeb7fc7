import { type Kysely, sql } from 'kysely'
import type { Database } from '../tables.ts'

/** What an organization has: accounts of both kinds that are not deleted, and keys that are not revoked. */
export type ContentCount = {
  serviceAccounts: number
  administrators: number
  /** API tokens included. */
  keys: number
  apiTokens: number
  /** Accounts that can act now. */
  active: number
}

export async function countContent(db: Kysely<Database>, organizationId: string): Promise<ContentCount> {
  const [accounts, keys] = await Promise.all([
    db
      .selectFrom('accounts')
      .select([
        sql<string>`count(*) filter (where kind = 'service_account')`.as('serviceAccounts'),
        sql<string>`count(*) filter (where kind = 'administrator')`.as('administrators'),
        sql<string>`count(*) filter (where status = 'active')`.as('active'),
      ])
      .where('organizationId', '=', organizationId)
      .where('status', '!=', 'deleted')
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('keys as k')
      .innerJoin('accounts as a', 'a.id', 'k.accountId')
      .select([
        sql<string>`count(*)`.as('keys'),
        sql<string>`count(*) filter (where k.type = 'api_token')`.as('apiTokens'),
      ])
      .where('a.organizationId', '=', organizationId)
      .where('k.status', '!=', 'revoked')
      .executeTakeFirstOrThrow(),
  ])
  return {
    serviceAccounts: Number(accounts.serviceAccounts),
    administrators: Number(accounts.administrators),
    active: Number(accounts.active),
    keys: Number(keys.keys),
    apiTokens: Number(keys.apiTokens),
  }
}

/** How many administrators sign in by the identity provider, and how many of them have no password here. */
export async function countLinked(
  db: Kysely<Database>,
  organizationId: string,
): Promise<{ linked: number; withoutPassword: number }> {
  const { linked, withoutPassword } = await db
    .selectFrom('openidIdentities as i')
    .innerJoin('accounts as a', 'a.id', 'i.accountId')
    .innerJoin('administratorCredentials as c', 'c.accountId', 'i.accountId')
    .select([
      sql<string>`count(*)`.as('linked'),
      sql<string>`count(*) filter (where c.password_hash is null)`.as('withoutPassword'),
    ])
    .where('i.organizationId', '=', organizationId)
    .where('a.status', '!=', 'deleted')
    .executeTakeFirstOrThrow()
  return { linked: Number(linked), withoutPassword: Number(withoutPassword) }
}
