import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database, Delegation, GroupAccessLevel } from '../tables.ts'

/** One permission of one resource server. */
export type DirectPermission = { resourceServerId: string; permission: string }

/** How an account stands to one group. */
export type GroupAccess = { groupId: string; access: GroupAccessLevel }

/** What an account was given, whoever stands behind it. Lists are sorted, and have each entry once. */
export type Access = {
  /** Direct ones, besides those of its roles. */
  permissions: DirectPermission[]
  roleIds: string[]
  groupAccess: GroupAccess[]
  groupsAdministrator: GroupAccessLevel | null
  delegation: Delegation | null
}

/** An account's access to groups, for a query over `accounts as a`. */
export const groupAccessColumn = sql<GroupAccess[]>`coalesce((
  select json_agg(json_build_object('groupId', g.group_id, 'access', g.access) order by g.group_id collate "C")
  from account_groups g where g.account_id = a.id), '[]')`.as('groupAccess')

/** An account's direct permissions, for a query over `accounts as a`. */
export const permissionsColumn = sql<DirectPermission[]>`coalesce((
  select json_agg(json_build_object('resourceServerId', p.resource_server_id, 'permission', p.permission)
                  order by p.resource_server_id, p.permission collate "C")
  from account_permissions p where p.account_id = a.id), '[]')`.as('permissions')

/** For a query over a table that names permissions: whether a row is about one of these. */
export function isOneOf(
  permissions: readonly DirectPermission[],
  column: 'permission' | 'name' = 'permission',
) {
  const servers = permissions.map((entry) => entry.resourceServerId)
  const names = permissions.map((entry) => entry.permission)
  return sql<boolean>`(resource_server_id, ${sql.ref(column)}) in (
    select * from unnest(${servers}::text[], ${names}::text[]))`
}

/** The members of `Access` that stand in tables of their own, for a query over `accounts as a`. */
export const accessColumns = [
  permissionsColumn,
  sql<string[]>`array(
    select r.role_id from account_roles r where r.account_id = a.id order by r.role_id collate "C")`.as(
    'roleIds',
  ),
  groupAccessColumn,
] as const

/** What an account was given. */
export function findAccess(db: Kysely<Database>, accountId: string): Promise<Access | undefined> {
  return db
    .selectFrom('accounts as a')
    .select(['a.groupsAdministrator', 'a.delegation'])
    .select(accessColumns)
    .where('a.id', '=', accountId)
    .executeTakeFirst()
}

/** Everything that an account may do, directly or by a role, each permission once. */
export function listEffectivePermissions(
  db: Kysely<Database>,
  accountId: string,
): Promise<DirectPermission[]> {
  return db
    .selectFrom('effectivePermissions')
    .select(['resourceServerId', 'permission'])
    .distinct()
    .where('accountId', '=', accountId)
    .orderBy('resourceServerId')
    .orderBy('permission')
    .execute()
}

/** A permission that an account has, and the ways in which it was given. */
export type ExplainedPermission = DirectPermission & {
  resourceServerIdentifier: string
  isDirect: boolean
  roles: { id: string; name: string }[]
}

/** What an account may do and why, by resource server and permission, after the one given. */
export function explainPermissions(
  db: Kysely<Database>,
  accountId: string,
  page: { limit: number; after: DirectPermission | undefined },
): Promise<ExplainedPermission[]> {
  return db
    .selectFrom('effectivePermissions as p')
    .innerJoin('resourceServers as rs', 'rs.id', 'p.resourceServerId')
    .leftJoin('roles as r', 'r.id', 'p.roleId')
    .select([
      'p.resourceServerId',
      'rs.identifier as resourceServerIdentifier',
      'p.permission',
      sql<boolean>`bool_or(p.role_id is null)`.as('isDirect'),
      sql<ExplainedPermission['roles']>`coalesce(
        json_agg(json_build_object('id', r.id, 'name', r.name) order by r.id) filter (where r.id is not null),
        '[]')`.as('roles'),
    ])
    .where('p.accountId', '=', accountId)
    .$if(page.after !== undefined, (query) =>
      query.where(({ eb, refTuple, tuple }) =>
        eb(
          refTuple('p.resourceServerId', 'p.permission'),
          '>',
          tuple(page.after?.resourceServerId ?? '', page.after?.permission ?? ''),
        ),
      ),
    )
    .groupBy(['p.resourceServerId', 'rs.identifier', 'p.permission'])
    .orderBy('p.resourceServerId')
    .orderBy('p.permission')
    .limit(page.limit)
    .execute()
}

/** Gives an account roles; one that it has already stays. */
export async function giveRoles(
  trx: Transaction<Database>,
  accountId: string,
  roleIds: readonly string[],
): Promise<void> {
  if (roleIds.length === 0) return
  await trx
    .insertInto('accountRoles')
    .values(roleIds.map((roleId) => ({ accountId, roleId })))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** Takes roles away. */
export async function takeRoles(
  trx: Transaction<Database>,
  accountId: string,
  roleIds: readonly string[],
): Promise<void> {
  if (roleIds.length === 0) return
  await trx
    .deleteFrom('accountRoles')
    .where('accountId', '=', accountId)
    .where('roleId', 'in', roleIds)
    .execute()
}

/** Gives an account access to groups, or other access than it had. */
export async function giveGroupAccess(
  trx: Transaction<Database>,
  accountId: string,
  groupAccess: readonly GroupAccess[],
): Promise<void> {
  if (groupAccess.length === 0) return
  await trx
    .insertInto('accountGroups')
    .values(groupAccess.map((entry) => ({ accountId, ...entry })))
    .onConflict((conflict) =>
      conflict
        .columns(['accountId', 'groupId'])
        .doUpdateSet((update) => ({ access: update.ref('excluded.access') })),
    )
    .execute()
}

/** Takes access to groups away. */
export async function takeGroupAccess(
  trx: Transaction<Database>,
  accountId: string,
  groupIds: readonly string[],
): Promise<void> {
  if (groupIds.length === 0) return
  await trx
    .deleteFrom('accountGroups')
    .where('accountId', '=', accountId)
    .where('groupId', 'in', groupIds)
    .execute()
}

/** Sets what an account has that stands in its own row. */
export async function setAccountAccess(
  trx: Transaction<Database>,
  accountId: string,
  { groupsAdministrator, delegation }: Pick<Access, 'groupsAdministrator' | 'delegation'>,
): Promise<void> {
  await trx
    .updateTable('accounts')
    .set({ groupsAdministrator, delegation: delegation === null ? null : JSON.stringify(delegation) })
    .where('id', '=', accountId)
    .execute()
}

/** Sets for whom an account may act, and with what. */
export async function setDelegation(
  trx: Transaction<Database>,
  accountId: string,
  delegation: Delegation,
): Promise<void> {
  await trx
    .updateTable('accounts')
    .set({ delegation: JSON.stringify(delegation) })
    .where('id', '=', accountId)
    .execute()
}
