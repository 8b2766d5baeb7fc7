import { type Kysely, sql, type Transaction } from 'kysely'
import type { AccountKind, Database, Delegation, PermissionRow } from '../tables.ts'
import { type DirectPermission, isOneOf, permissionsColumn } from './access.ts'

/** A permission that can be granted, with the resource server that defines it. */
export type GrantablePermission = PermissionRow & {
  resourceServerIdentifier: string
  resourceServerName: string
}

/** Somebody who was given permissions of a resource server: all that they were given, of every resource server. */
export type Holder = {
  accountId: string
  accountKind: AccountKind
  accountName: string
  organizationId: string
  permissions: DirectPermission[]
  delegation: Delegation | null
}

/** All that is defined, by resource server and name, after the one given. */
export function listPermissions(
  db: Kysely<Database>,
  page: { limit: number; after: DirectPermission | undefined },
): Promise<GrantablePermission[]> {
  return db
    .selectFrom('permissions as p')
    .innerJoin('resourceServers as rs', 'rs.id', 'p.resourceServerId')
    .selectAll('p')
    .select(['rs.identifier as resourceServerIdentifier', 'rs.name as resourceServerName'])
    .$if(page.after !== undefined, (query) =>
      query.where(({ eb, refTuple, tuple }) =>
        eb(
          refTuple('p.resourceServerId', 'p.name'),
          '>',
          tuple(page.after?.resourceServerId ?? '', page.after?.permission ?? ''),
        ),
      ),
    )
    .orderBy('p.resourceServerId')
    .orderBy('p.name')
    .limit(page.limit)
    .execute()
}

/** Which of the permissions are defined; they stay so until the transaction ends. */
export function shareDefined(
  trx: Transaction<Database>,
  permissions: readonly DirectPermission[],
): Promise<DirectPermission[]> {
  if (permissions.length === 0) return Promise.resolve([])
  return trx
    .selectFrom('permissions')
    .select(['resourceServerId', 'name as permission'])
    .where(isOneOf(permissions, 'name'))
    .orderBy('resourceServerId')
    .orderBy('name')
    .forKeyShare()
    .execute()
}

/** Holds definitions until the transaction ends, so that nobody is given what is about to go. */
export async function lockPermissions(
  trx: Transaction<Database>,
  resourceServerId: string,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return
  await trx
    .selectFrom('permissions')
    .select('name')
    .where('resourceServerId', '=', resourceServerId)
    .where('name', 'in', names)
    .orderBy('name')
    .forUpdate()
    .execute()
}

/** Gives permissions; one that the account has already stays. */
export async function grantPermissions(
  trx: Transaction<Database>,
  accountId: string,
  permissions: readonly DirectPermission[],
): Promise<void> {
  if (permissions.length === 0) return
  await trx
    .insertInto('accountPermissions')
    .values(permissions.map((entry) => ({ accountId, ...entry })))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** Takes permissions away. */
export async function withdrawPermissions(
  trx: Transaction<Database>,
  accountId: string,
  permissions: readonly DirectPermission[],
): Promise<void> {
  if (permissions.length === 0) return
  await trx
    .deleteFrom('accountPermissions')
    .where('accountId', '=', accountId)
    .where(isOneOf(permissions))
    .execute()
}

/** Active accounts of an organization that have a permission, directly or by a role. */
export function listActiveHolders(
  db: Kysely<Database>,
  organizationId: string,
  permission: DirectPermission,
): Promise<{ id: string; name: string }[]> {
  return db
    .selectFrom('accounts as a')
    .select(['a.id', 'a.name'])
    .where('a.organizationId', '=', organizationId)
    .where('a.status', '=', 'active')
    .where('a.id', 'in', (select) =>
      select
        .selectFrom('effectivePermissions as p')
        .select('p.accountId')
        .where('p.resourceServerId', '=', permission.resourceServerId)
        .where('p.permission', '=', permission.permission),
    )
    .execute()
}

/** Everybody who was given one of these permissions directly or to lend; deleted accounts have none. */
export function listHolders(
  db: Kysely<Database>,
  resourceServerId: string,
  names: readonly string[],
): Promise<Holder[]> {
  if (names.length === 0) return Promise.resolve([])
  return holders(db, resourceServerId, names)
    .select([
      'a.id as accountId',
      'a.kind as accountKind',
      'a.name as accountName',
      'a.organizationId',
      'a.delegation',
    ])
    .select(permissionsColumn)
    .execute()
}

/** Holds all of them until the transaction ends, so that what is read of them then stays true. */
export async function lockHolders(
  trx: Transaction<Database>,
  resourceServerId: string,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return
  await holders(trx, resourceServerId, names).select('a.id').orderBy('a.id').forNoKeyUpdate('a').execute()
}

/** Defines permissions, and answers the names of those that were not defined before. */
export async function definePermissions(
  trx: Transaction<Database>,
  resourceServerId: string,
  permissions: readonly { name: string; description: string }[],
): Promise<string[]> {
  if (permissions.length === 0) return []
  const rows = await trx
    .insertInto('permissions')
    .values(permissions.map(({ name, description }) => ({ resourceServerId, name, description })))
    .onConflict((conflict) => conflict.doNothing())
    .returning('name')
    .execute()
  return rows.map((row) => row.name)
}

/** Gives a permission another description. */
export async function describePermission(
  trx: Transaction<Database>,
  resourceServerId: string,
  permission: { name: string; description: string },
): Promise<void> {
  await trx
    .updateTable('permissions')
    .set({ description: permission.description })
    .where('resourceServerId', '=', resourceServerId)
    .where('name', '=', permission.name)
    .execute()
}

/** Removes definitions, and with them what accounts were given and roles have. */
export async function removePermissions(
  trx: Transaction<Database>,
  resourceServerId: string,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return
  await trx
    .deleteFrom('permissions')
    .where('resourceServerId', '=', resourceServerId)
    .where('name', 'in', names)
    .execute()
}

/** In two look-ups, each by an index of its own: what is joined by «or» would be read whole. */
function holders(db: Kysely<Database>, resourceServerId: string, names: readonly string[]) {
  const lent = names.map((permission) => JSON.stringify({ permissions: [{ resourceServerId, permission }] }))
  return db.selectFrom('accounts as a').where('a.id', 'in', (select) =>
    select
      .selectFrom('accountPermissions as held')
      .select('held.accountId as id')
      .where('held.resourceServerId', '=', resourceServerId)
      .where('held.permission', 'in', names)
      .union(
        select
          .selectFrom('accounts as lender')
          .select('lender.id')
          .where(sql<boolean>`lender.delegation @> any (${lent}::jsonb[])`),
      ),
  )
}
