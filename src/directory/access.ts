import type { Trx } from '../database/connect.ts'
import {
  type Access,
  type GroupAccess,
  giveGroupAccess,
  giveRoles,
  setAccountAccess,
  takeGroupAccess,
  takeRoles,
} from '../database/queries/access.ts'
import { shareGroups } from '../database/queries/groups.ts'
import { grantPermissions, withdrawPermissions } from '../database/queries/permissions.ts'
import { findBuiltInResourceServer } from '../database/queries/resource-servers.ts'
import { type Role, shareRoles } from '../database/queries/roles.ts'
import type { Delegation } from '../database/tables.ts'
import { Refusal } from '../errors.ts'
import type { Actor } from './actor.ts'
import {
  assertMayGive,
  difference,
  faultsAt,
  isWithin,
  keyOf,
  requireDefined,
  sortPermissions,
} from './granting.ts'

/** What a new account has, and one that is gone: nothing at all. */
export const NO_ACCESS: Access = {
  permissions: [],
  roleIds: [],
  groupAccess: [],
  groupsAdministrator: null,
  delegation: null,
}

/** Access alone, of something that has more members. Pure. */
export function accessFacts({
  permissions,
  roleIds,
  groupAccess,
  groupsAdministrator,
  delegation,
}: Access): Access {
  return { permissions, roleIds, groupAccess, groupsAdministrator, delegation }
}

/** What can be asked of an account's access: whole lists; `undefined` stays as it is. */
export type AccessPatch = {
  permissions: Access['permissions'] | undefined
  roleIds: Access['roleIds'] | undefined
  groupAccess: Access['groupAccess'] | undefined
  groupsAdministrator: Access['groupsAdministrator'] | undefined
  /** Members that are not named stay as they are; null takes the delegation away. */
  delegation: Partial<Delegation> | null | undefined
}

/** What is asked for as a whole, in the order in which it was written. Pure. Throws Refusal `input_invalid`. */
export function patchAccess(access: Access, patch: AccessPatch): Access {
  const { permissions, roleIds, groupAccess, groupsAdministrator, delegation } = patch
  return {
    permissions: permissions ?? access.permissions,
    roleIds: roleIds ?? access.roleIds,
    groupAccess: groupAccess ?? access.groupAccess,
    groupsAdministrator: groupsAdministrator === undefined ? access.groupsAdministrator : groupsAdministrator,
    delegation: delegation === undefined ? access.delegation : patchDelegation(access.delegation, delegation),
  }
}

/** As many entries as the API takes (openapi.yaml), for lists that grow one by one. */
const MAX_ENTRIES = { permissions: 500, roleIds: 50, groupAccess: 500, subjects: 100 }

/** Throws Refusal `input_invalid` when a list is longer than the API would take it. Pure. */
export function assertBounded({ permissions, roleIds, groupAccess, delegation }: Access): void {
  const lists = [
    ['/permissions', permissions, MAX_ENTRIES.permissions],
    ['/role_ids', roleIds, MAX_ENTRIES.roleIds],
    ['/group_access', groupAccess, MAX_ENTRIES.groupAccess],
    ['/delegation/subjects', delegation?.subjects ?? [], MAX_ENTRIES.subjects],
    ['/delegation/permissions', delegation?.permissions ?? [], MAX_ENTRIES.permissions],
  ] as const
  const faults = lists
    .filter(([, list, max]) => list.length > max)
    .map(([pointer, , max]) => ({ pointer, detail: `has more than ${max} entries` }))
  if (faults.length > 0) throw new Refusal('input_invalid', { faults }, { faults })
}

/** The same as it is kept and shown: sorted, each entry once. Pure. */
export function normalizeAccess(access: Access): Access {
  const { permissions, roleIds, groupAccess, groupsAdministrator, delegation } = access
  return {
    permissions: sortPermissions(permissions),
    roleIds: [...new Set(roleIds)].sort(),
    groupAccess: groupAccess
      .map(({ groupId, access: level }) => ({ groupId, access: level }))
      .sort((one, other) => (one.groupId < other.groupId ? -1 : 1)),
    groupsAdministrator,
    delegation: delegation && {
      subjects: [...new Set(delegation.subjects)].sort(),
      permissions: sortPermissions(delegation.permissions),
    },
  }
}

/** Whether a change that asks for this may take authority from an account. Pure. */
export function mayCostOwner({
  status,
  access,
}: {
  status: 'active' | 'disabled' | undefined
  access: Pick<AccessPatch, 'permissions' | 'roleIds'>
}): boolean {
  return status === 'disabled' || access.permissions !== undefined || access.roleIds !== undefined
}

/**
 * Gives an account what is new in `asked` and takes what is not in it any more. What is new must be the
 * actor's to give (promise 8); what the account has may stay or be taken by somebody who lacks it.
 * Throws Refusal `input_invalid`, pointing into `asked` as it came, or `permission_not_held`.
 */
export async function replaceAccess(
  trx: Trx,
  actor: Actor,
  account: { id: string; organizationId: string } & Access,
  asked: Access,
): Promise<void> {
  const permissions = difference(asked.permissions, account.permissions)
  await requireDefined(trx, permissions, asked.permissions)
  const roleIds = asked.roleIds.filter((id) => !account.roleIds.includes(id))
  const roles = await requireRoles(trx, account.organizationId, roleIds, asked.roleIds)
  const groupAccess = await requireGroups(trx, account, asked.groupAccess)
  const lent = await requireDelegated(trx, account.delegation, asked.delegation)
  const level = asked.groupsAdministrator
  await assertMayGive(trx, actor, {
    permissions: [...permissions, ...roles.flatMap((role) => role.permissions), ...lent],
    roleIds,
    groupAccess: groupAccess.filter(({ groupId, access }) => !isWithin(access, levelIn(account, groupId))),
    groupsAdministrator: isWithin(level, account.groupsAdministrator) ? null : level,
  })
  await assertNotManagement(trx, lent, asked.delegation)
  await store(trx, account, asked, { permissions, roleIds, groupAccess })
}

async function store(
  trx: Trx,
  account: { id: string } & Access,
  asked: Access,
  given: Pick<Access, 'permissions' | 'roleIds' | 'groupAccess'>,
): Promise<void> {
  const { id } = account
  const groupIds = new Set(asked.groupAccess.map((entry) => entry.groupId))
  const leftGroups = account.groupAccess.map((entry) => entry.groupId).filter((each) => !groupIds.has(each))
  await withdrawPermissions(trx, id, difference(account.permissions, asked.permissions))
  await grantPermissions(trx, id, given.permissions)
  const leftRoles = account.roleIds.filter((each) => !asked.roleIds.includes(each))
  await takeRoles(trx, id, leftRoles)
  await giveRoles(trx, id, given.roleIds)
  await takeGroupAccess(trx, id, leftGroups)
  await giveGroupAccess(trx, id, given.groupAccess)
  await setAccountAccess(trx, id, normalizeAccess(asked))
}

/** Roles about to be given, which stay until the transaction ends. One of another organization is none. */
async function requireRoles(
  trx: Trx,
  organizationId: string,
  ids: readonly string[],
  asked: readonly string[],
): Promise<Role[]> {
  const roles = await shareRoles(trx, organizationId, ids)
  const missing = new Set(ids.filter((id) => !roles.some((role) => role.id === id)))
  const faults = faultsAt(asked, '/role_ids', (id) => missing.has(id), 'there is no role with that id')
  if (faults.length > 0) throw new Refusal('input_invalid', { missing: [...missing] }, { faults })
  return roles
}

/** The entries that are new or other than before; their groups stay until the transaction ends. */
async function requireGroups(
  trx: Trx,
  account: { organizationId: string } & Access,
  asked: readonly GroupAccess[],
): Promise<GroupAccess[]> {
  const ids = asked.map((entry) => entry.groupId)
  const repeated = faultsAt(ids, '/group_access', (id, at) => ids.indexOf(id) < at, 'names a group again')
  if (repeated.length > 0) throw new Refusal('input_invalid', {}, { faults: repeated })
  const changed = asked.filter(({ groupId, access }) => levelIn(account, groupId) !== access)
  const changedIds = changed.map((entry) => entry.groupId)
  const found = await shareGroups(trx, account.organizationId, changedIds)
  const missing = new Set(changedIds.filter((id) => !found.includes(id)))
  const faults = faultsAt(ids, '/group_access', (id) => missing.has(id), 'there is no group with that id')
  if (faults.length > 0) throw new Refusal('input_invalid', { missing: [...missing] }, { faults })
  return changed
}

/**
 * What the account newly gets by its delegation: permissions that are new in it, and all of them once it may
 * act for somebody new.
 */
async function requireDelegated(
  trx: Trx,
  before: Delegation | null,
  asked: Delegation | null,
): Promise<Delegation['permissions']> {
  if (asked === null) return []
  const isForOthers = asked.subjects.some((subject) => !before?.subjects.includes(subject))
  const given = isForOthers ? asked.permissions : difference(asked.permissions, before?.permissions ?? [])
  await requireDefined(trx, given, asked.permissions, '/delegation/permissions')
  return given
}

/** End users do not administer: what is done here is done by the account itself, and told so in the trail. */
async function assertNotManagement(
  trx: Trx,
  lent: Delegation['permissions'],
  asked: Delegation | null,
): Promise<void> {
  if (asked === null || lent.length === 0) return
  const builtIn = await findBuiltInResourceServer(trx)
  const faults = faultsAt(
    asked.permissions,
    '/delegation/permissions',
    (entry) => entry.resourceServerId === builtIn?.id,
    'permissions of the management API cannot be delegated',
  )
  if (faults.length > 0) throw new Refusal('input_invalid', { lent: lent.map(keyOf) }, { faults })
}

function levelIn({ groupAccess }: Access, groupId: string) {
  return groupAccess.find((entry) => entry.groupId === groupId)?.access ?? null
}

/** Both members are needed for the first time; afterwards one of them can be changed alone. */
function patchDelegation(before: Delegation | null, patch: Partial<Delegation> | null): Delegation | null {
  if (patch === null) return null
  const { subjects = before?.subjects, permissions = before?.permissions } = patch
  if (subjects !== undefined && permissions !== undefined) return { subjects, permissions }
  const pointer = `/delegation/${subjects === undefined ? 'subjects' : 'permissions'}`
  throw new Refusal('input_invalid', { pointer }, { faults: [{ pointer, detail: 'is required' }] })
}
