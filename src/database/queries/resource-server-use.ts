import { type Kysely, sql } from 'kysely'
import type { Database } from '../tables.ts'

/** Who has permissions of a resource server: accounts, of how many organizations, and roles that give them. */
export type HolderCount = { accounts: number; organizations: number; roles: number }

/** Of all its permissions, or of one. */
export async function countHolders(
  db: Kysely<Database>,
  resourceServerId: string,
  permission?: string,
): Promise<HolderCount> {
  const [accounts, roles] = await Promise.all([
    db
      .selectFrom('effectivePermissions as p')
      .innerJoin('accounts as a', 'a.id', 'p.accountId')
      .select([
        sql<string>`count(distinct a.id)`.as('accounts'),
        sql<string>`count(distinct a.organization_id)`.as('organizations'),
      ])
      .where('p.resourceServerId', '=', resourceServerId)
      .$if(permission !== undefined, (query) => query.where('p.permission', '=', permission ?? ''))
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('rolePermissions')
      .select(sql<string>`count(distinct role_id)`.as('roles'))
      .where('resourceServerId', '=', resourceServerId)
      .$if(permission !== undefined, (query) => query.where('permission', '=', permission ?? ''))
      .executeTakeFirstOrThrow(),
  ])
  return {
    accounts: Number(accounts.accounts),
    organizations: Number(accounts.organizations),
    roles: Number(roles.roles),
  }
}

/** How many accounts have each permission of a resource server; one that nobody has is not among them. */
export async function countHoldersOfEach(
  db: Kysely<Database>,
  resourceServerId: string,
): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('effectivePermissions')
    .select(['permission', sql<string>`count(distinct account_id)`.as('accounts')])
    .where('resourceServerId', '=', resourceServerId)
    .groupBy('permission')
    .execute()
  return new Map(rows.map(({ permission, accounts }) => [permission, Number(accounts)]))
}

/** With how many secrets, and keys that work now, a resource server can authenticate. */
export async function countCredentials(
  db: Kysely<Database>,
  resourceServerId: string,
  now: Date,
): Promise<{ secrets: number; keys: number }> {
  const [secrets, keys] = await Promise.all([
    db
      .selectFrom('resourceServerSecrets')
      .select(sql<string>`count(*)`.as('count'))
      .where('resourceServerId', '=', resourceServerId)
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('resourceServerKeys')
      .select(sql<string>`count(*)`.as('count'))
      .where('resourceServerId', '=', resourceServerId)
      .where('status', '=', 'active')
      .where((where) => where.or([where('expiresAt', 'is', null), where('expiresAt', '>', now)]))
      .executeTakeFirstOrThrow(),
  ])
  return { secrets: Number(secrets.count), keys: Number(keys.count) }
}
