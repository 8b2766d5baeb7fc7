import {
  countGroupsAdministrators,
  countHoldersOfRoles,
  type GroupAccessCounts,
  type HolderCounts,
  type HolderRow,
  listGroupHolders,
  countGroupAccess as queryGroupAccess,
  listGroupsAdministrators as queryGroupsAdministrators,
  listRoleHolders as queryRoleHolders,
} from '../database/queries/holders.ts'
import type { AccountKind, GroupAccessLevel } from '../database/tables.ts'
import type { Actor } from './actor.ts'
import { type GroupPath, getGroup } from './groups.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { getOrganization } from './reach.ts'
import { getRole, type RolePath } from './roles.ts'
import type { DirectoryServices } from './services.ts'

/** An account that has something. */
export type Holder = HolderRow

export type { HolderCounts }

/** An account that has access to a group: by name, or to all of them. */
export type GroupHolder = HolderRow & { access: GroupAccessLevel }

type Services = Pick<DirectoryServices, 'db'>

const NOBODY: HolderCounts = { serviceAccounts: 0, administrators: 0 }
const NO_ACCESS: GroupAccessCounts = { viewer: 0, manager: 0 }

/** The kinds of accounts whose names somebody may read. How many there are is told to all who may read the role or group. */
function readableKinds({ permissions }: Pick<Actor, 'permissions'>): AccountKind[] {
  return [
    ...(permissions.includes('service_accounts:read') ? (['service_account'] as const) : []),
    ...(permissions.includes('administrators:read') ? (['administrator'] as const) : []),
  ]
}

/**
 * How many accounts of the organization have each of these roles. Of a built-in role those of other organizations are
 * not counted (promise 9). Throws Refusal `resource_not_found`.
 */
export async function countRoleHolders(
  { db }: Services,
  actor: Actor,
  organizationId: string,
  roleIds: readonly string[],
): Promise<(roleId: string) => HolderCounts> {
  const { id } = await getOrganization(db, actor, organizationId)
  const counts = await countHoldersOfRoles(db, id, roleIds)
  return (roleId) => counts.get(roleId) ?? NOBODY
}

/** The accounts of the organization that have a role, as far as the actor may read them, newest first. Throws Refusal `resource_not_found`. */
export async function listRoleHolders(
  services: Services,
  actor: Actor,
  path: RolePath,
  request: PageRequest,
): Promise<Listing<Holder>> {
  const { id: roleId } = await getRole(services, actor, path)
  const which = { organizationId: path.organizationId, roleId, kinds: readableKinds(actor) }
  return readPage(request, (page) => queryRoleHolders(services.db, which, page))
}

/** How many accounts have access to each of these groups by name. The groups must be ones that the actor was given. */
export async function countGroupAccess(
  { db }: Services,
  groupIds: readonly string[],
): Promise<(groupId: string) => GroupAccessCounts> {
  const counts = await queryGroupAccess(db, groupIds)
  return (groupId) => counts.get(groupId) ?? NO_ACCESS
}

/** The accounts that have access to a group by name, as far as the actor may read them, newest first. Throws Refusal `resource_not_found`. */
export async function listGroupMembers(
  services: Services,
  actor: Actor,
  path: GroupPath,
  request: PageRequest,
): Promise<Listing<GroupHolder>> {
  const { id: groupId, organizationId } = await getGroup(services, actor, path)
  const which = { organizationId, groupId, kinds: readableKinds(actor) }
  return readPage(request, (page) => listGroupHolders(services.db, which, page))
}

/** The accounts that reach all groups of the organization, as far as the actor may read them, and how many there are. Throws Refusal `resource_not_found`. */
export async function listGroupsAdministrators(
  { db }: Services,
  actor: Actor,
  organizationId: string,
  request: PageRequest,
): Promise<Listing<GroupHolder> & { counts: HolderCounts }> {
  const { id } = await getOrganization(db, actor, organizationId)
  const which = { organizationId: id, kinds: readableKinds(actor) }
  const [listing, counts] = await Promise.all([
    readPage(request, (page) => queryGroupsAdministrators(db, which, page)),
    countGroupsAdministrators(db, id),
  ])
  return { ...listing, counts }
}
