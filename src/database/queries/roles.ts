import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database, RoleRow } from '../tables.ts'
import { type DirectPermission, isOneOf } from './access.ts'
import type { Page } from './page.ts'

/** A role with its permissions, sorted. */
export type Role = RoleRow & { permissions: DirectPermission[] }

export type NewRole = {
  id: string
  /** null: built in. */
  organizationId: string | null
  name: string
  description: string
  createdAt: Date
  createdBy: string
}

/** What of a role can change, besides its permissions. */
export type RoleChanges = { name?: string; description?: string }

/** A role that accounts of an organization can have: one of its own, or a built-in one. */
export function findRole(
  db: Kysely<Database>,
  organizationId: string,
  id: string,
): Promise<Role | undefined> {
  return rolesOf(db, organizationId).where('r.id', '=', id).executeTakeFirst()
}

/** The built-in role of that name. */
export function findBuiltInRole(db: Kysely<Database>, name: string): Promise<Role | undefined> {
  return roles(db).where('r.organizationId', 'is', null).where('r.name', '=', name).executeTakeFirst()
}

/** The roles that accounts of an organization can have, built-in ones included. */
export function listRoles(db: Kysely<Database>, organizationId: string, page: Page): Promise<Role[]> {
  return rolesOf(db, organizationId)
    .$if(page.before !== undefined, (query) => query.where('r.id', '<', page.before ?? ''))
    .orderBy('r.id', 'desc')
    .limit(page.limit)
    .execute()
}

/** Those of the roles that accounts of the organization can have; none goes until the transaction ends. */
export async function shareRoles(
  trx: Transaction<Database>,
  organizationId: string,
  ids: readonly string[],
): Promise<Role[]> {
  if (ids.length === 0) return []
  await trx.selectFrom('roles').select('id').where('id', 'in', ids).orderBy('id').forKeyShare().execute()
  return rolesOf(trx, organizationId).where('r.id', 'in', ids).execute()
}

/**
 * Holds an organization's role until the transaction ends, so that changes follow one another. While it is being
 * deleted nobody gets it. While it is changed they may: who gives roles can hold the lock of the organization, for
 * which the change would wait in turn (src/directory/ownership.ts).
 */
export async function lockRole(
  trx: Transaction<Database>,
  organizationId: string,
  id: string,
  purpose: 'change' | 'deletion',
): Promise<void> {
  const role = trx
    .selectFrom('roles')
    .select('id')
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
  await (purpose === 'deletion' ? role.forUpdate() : role.forNoKeyUpdate()).execute()
}

/** Those of the roles that an organization made itself. */
export async function withoutBuiltIn(db: Kysely<Database>, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await db
    .selectFrom('roles')
    .select('id')
    .where('id', 'in', ids)
    .where('organizationId', 'is not', null)
    .execute()
  return rows.map((row) => row.id)
}

/** Active accounts of the organization that have the built-in role of that name, so many at most. */
export async function listActiveRoleHolders(
  db: Kysely<Database>,
  organizationId: string,
  name: string,
  limit: number,
): Promise<string[]> {
  const rows = await db
    .selectFrom('accounts as a')
    .innerJoin('accountRoles as h', 'h.accountId', 'a.id')
    .innerJoin('roles as r', 'r.id', 'h.roleId')
    .select('a.id')
    .where('a.organizationId', '=', organizationId)
    .where('a.status', '=', 'active')
    .where('r.organizationId', 'is', null)
    .where('r.name', '=', name)
    .limit(limit)
    .execute()
  return rows.map(({ id }) => id)
}

/** How many accounts have a role. */
export async function countRoleHolders(db: Kysely<Database>, id: string): Promise<number> {
  const row = await db
    .selectFrom('accountRoles')
    .select((select) => select.fn.countAll<string>().as('count'))
    .where('roleId', '=', id)
    .executeTakeFirstOrThrow()
  return Number(row.count)
}

/** The organizations' own roles that have one of these permissions. */
export function listRolesWith(
  db: Kysely<Database>,
  resourceServerId: string,
  names: readonly string[],
): Promise<Role[]> {
  if (names.length === 0) return Promise.resolve([])
  return roles(db)
    .where('r.organizationId', 'is not', null)
    .where('r.id', 'in', (select) =>
      select
        .selectFrom('rolePermissions')
        .select('roleId')
        .where('resourceServerId', '=', resourceServerId)
        .where('permission', 'in', names),
    )
    .execute()
}

/** Stores a role without permissions. Violates `roles_name` when the organization has one of that name. */
export async function insertRole(trx: Transaction<Database>, role: NewRole): Promise<void> {
  await trx
    .insertInto('roles')
    .values({ ...role, updatedAt: role.createdAt })
    .execute()
}

/** Changes a role. Violates `roles_name` like `insertRole`. */
export async function updateRole(
  trx: Transaction<Database>,
  id: string,
  changes: RoleChanges,
  now: Date,
): Promise<void> {
  await trx
    .updateTable('roles')
    .set({ ...changes, updatedAt: now })
    .where('id', '=', id)
    .execute()
}

/** Removes a role that nobody has. */
export async function deleteRole(trx: Transaction<Database>, id: string): Promise<void> {
  await trx.deleteFrom('roles').where('id', '=', id).execute()
}

/** Puts permissions into a role; answers those that were not in it before. */
export async function addRolePermissions(
  trx: Transaction<Database>,
  roleId: string,
  permissions: readonly DirectPermission[],
): Promise<DirectPermission[]> {
  if (permissions.length === 0) return []
  return trx
    .insertInto('rolePermissions')
    .values(permissions.map((entry) => ({ roleId, ...entry })))
    .onConflict((conflict) => conflict.doNothing())
    .returning(['resourceServerId', 'permission'])
    .execute()
}

/** Takes permissions out of a role. */
export async function removeRolePermissions(
  trx: Transaction<Database>,
  roleId: string,
  permissions: readonly DirectPermission[],
): Promise<void> {
  if (permissions.length === 0) return
  await trx.deleteFrom('rolePermissions').where('roleId', '=', roleId).where(isOneOf(permissions)).execute()
}

function rolesOf(db: Kysely<Database>, organizationId: string) {
  return roles(db).where((where) =>
    where.or([where('r.organizationId', 'is', null), where('r.organizationId', '=', organizationId)]),
  )
}

function roles(db: Kysely<Database>) {
  return db
    .selectFrom('roles as r')
    .selectAll('r')
    .select(
      sql<DirectPermission[]>`coalesce((
        select json_agg(json_build_object('resourceServerId', p.resource_server_id, 'permission', p.permission)
                        order by p.resource_server_id, p.permission collate "C")
        from role_permissions p where p.role_id = r.id), '[]')`.as('permissions'),
    )
}
