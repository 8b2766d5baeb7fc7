import type { Db, Trx } from '../database/connect.ts'
import {
  type DirectPermission,
  findAccess,
  type GroupAccess,
  listEffectivePermissions,
} from '../database/queries/access.ts'
import { shareDefined } from '../database/queries/permissions.ts'
import { findBuiltInResourceServer } from '../database/queries/resource-servers.ts'
import { withoutBuiltIn } from '../database/queries/roles.ts'
import type { GroupAccessLevel } from '../database/tables.ts'
import { type InputFault, Refusal } from '../errors.ts'
import type { Actor } from './actor.ts'

/** What somebody would get: permissions of roles and delegations are permissions like any other. */
export type Gift = {
  permissions: readonly DirectPermission[]
  /** For their names; what they allow is among the permissions. */
  roleIds: readonly string[]
  groupAccess: readonly GroupAccess[]
  groupsAdministrator: GroupAccessLevel | null
}

/** Whether the actor may give something to an account. */
export type GrantJudge = {
  permission: (permission: DirectPermission) => boolean
  /** The name of a role that an organization made. */
  role: (roleId: string) => boolean
  groupAccess: (groupAccess: GroupAccess) => boolean
  groupsAdministrator: (level: GroupAccessLevel) => boolean
}

/**
 * Nobody grants what they do not hold (promise 8):
 * - permissions of the management API: those that the actor's present token bears, so that a token with a
 *   narrow scope cannot make itself a wider one;
 * - permissions of other resource servers: those that the actor's account has, directly or by a role; whoever
 *   manages resource servers may give them all, since they could define them as well;
 * - roles of an organization: those that the actor's account has itself, since resource servers see the name and may
 *   go by it; whoever manages roles may give them all, since they could give any role that name;
 * - access to groups: what the actor's account has, by name or as a groups administrator. One of the operator
 *   organization is that in every organization.
 */
export async function readGrantJudge(db: Db, actor: Actor): Promise<GrantJudge> {
  if (actor.accountId === null) return EVERYTHING
  const held = new Set((await listEffectivePermissions(db, actor.accountId)).map(keyOf))
  const own = await findAccess(db, actor.accountId)
  const groups = new Map(own?.groupAccess.map(({ groupId, access }) => [groupId, access]))
  const administered = own?.groupsAdministrator ?? null
  const builtIn = await findBuiltInResourceServer(db)
  const managesResourceServers = actor.isOperator && actor.permissions.includes('resource_servers:manage')
  return {
    permission: (permission) =>
      permission.resourceServerId === builtIn?.id
        ? actor.permissions.includes(permission.permission)
        : managesResourceServers || held.has(keyOf(permission)),
    role: (id) => actor.permissions.includes('roles:manage') || (own?.roleIds.includes(id) ?? false),
    groupAccess: ({ groupId, access }) =>
      isWithin(access, administered) || isWithin(access, groups.get(groupId) ?? null),
    groupsAdministrator: (level) => isWithin(level, administered),
  }
}

/** The server itself, at its first start and at its command line. */
const EVERYTHING: GrantJudge = {
  permission: () => true,
  role: () => true,
  groupAccess: () => true,
  groupsAdministrator: () => true,
}

/** Whether a level of access is no more than another; `manager` implies `viewer`, null is none. Pure. */
export function isWithin(level: GroupAccessLevel | null, limit: GroupAccessLevel | null): boolean {
  return level === null || level === limit || limit === 'manager'
}

/** Throws Refusal `permission_not_held` that names what the actor may not give. */
export async function assertMayGive(db: Db, actor: Actor, gift: Gift): Promise<void> {
  if (!isNothing(gift)) await assertWithin(db, await readGrantJudge(db, actor), gift)
}

function isNothing({ permissions, roleIds, groupAccess, groupsAdministrator }: Gift): boolean {
  return (
    [permissions, roleIds, groupAccess].every(({ length }) => length === 0) && groupsAdministrator === null
  )
}

async function assertWithin(db: Db, mayGive: GrantJudge, gift: Gift): Promise<void> {
  const { permissions, roleIds, groupAccess, groupsAdministrator } = gift
  const beyond = [
    ...permissions.filter((entry) => !mayGive.permission(entry)).map((entry) => entry.permission),
    ...(await withoutBuiltIn(db, roleIds)).filter((id) => !mayGive.role(id)).map((id) => `the role ${id}`),
    ...groupAccess
      .filter((entry) => !mayGive.groupAccess(entry))
      .map(({ groupId, access }) => `${access} of ${groupId}`),
    ...(groupsAdministrator === null || mayGive.groupsAdministrator(groupsAdministrator)
      ? []
      : [`${groupsAdministrator} of all groups`]),
  ]
  if (beyond.length === 0) return
  // Names are scope tokens and ids: no quotes, no backslashes, safe to show.
  throw new Refusal(
    'permission_not_held',
    { beyond },
    { hint: `You can give only what you have yourself. You lack: ${[...new Set(beyond)].join(', ')}.` },
  )
}

/**
 * A key does all that its account may do, so making one for an account is giving oneself what it has: its
 * permissions, its roles, its groups, and what it may do for others. The same goes for every other credential, and for an
 * invitation by which somebody becomes the account.
 * Throws Refusal `permission_not_held` when the account has more than the actor may give.
 */
export function assertMayMakeKey(db: Db, actor: Actor, accountId: string): Promise<void> {
  return assertMayMakeKeys(db, actor, [accountId])
}

/** The same for several accounts, one after the other: refused is the first that has more than the actor may give. */
export async function assertMayMakeKeys(db: Db, actor: Actor, accountIds: readonly string[]): Promise<void> {
  const mayGive = await readGrantJudge(db, actor)
  for (const accountId of accountIds) {
    const possessions = await findPossessions(db, accountId)
    if (!isNothing(possessions)) await assertWithin(db, mayGive, possessions)
  }
}

/** All that an account has, and may do for others; nothing when there is none. */
async function findPossessions(db: Db, accountId: string): Promise<Gift> {
  const access = await findAccess(db, accountId)
  if (access === undefined)
    return { permissions: [], roleIds: [], groupAccess: [], groupsAdministrator: null }
  const { roleIds, groupAccess, groupsAdministrator, delegation } = access
  const effective = await listEffectivePermissions(db, accountId)
  return {
    permissions: [...effective, ...(delegation?.permissions ?? [])],
    roleIds,
    groupAccess,
    groupsAdministrator,
  }
}

/** One text for a permission, to compare by. */
export function keyOf(permission: DirectPermission): string {
  return `${permission.resourceServerId} ${permission.permission}`
}

/** Those of the first list that are not in the second. Pure. */
export function difference(
  from: readonly DirectPermission[],
  without: readonly DirectPermission[],
): DirectPermission[] {
  const excluded = new Set(without.map(keyOf))
  return from.filter((permission) => !excluded.has(keyOf(permission)))
}

/** Each once, in the order in which the database lists them. Pure. */
export function sortPermissions(permissions: readonly DirectPermission[]): DirectPermission[] {
  const byKey = new Map(permissions.map((permission) => [keyOf(permission), permission]))
  return [...byKey.entries()]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, { resourceServerId, permission }]) => ({ resourceServerId, permission }))
}

/**
 * Sees to it that permissions about to be given are defined, and stay so until the transaction ends.
 * Throws Refusal `input_invalid` that points at those which are not, as they stand in the list `asked`, which
 * is at `pointer` in the body.
 */
export async function requireDefined(
  trx: Trx,
  permissions: readonly DirectPermission[],
  asked: readonly DirectPermission[],
  pointer = '/permissions',
): Promise<void> {
  const missing = new Set(difference(permissions, await shareDefined(trx, permissions)).map(keyOf))
  const faults = faultsAt(asked, pointer, (permission) => missing.has(keyOf(permission)), NOT_DEFINED)
  if (faults.length > 0) throw new Refusal('input_invalid', { missing: [...missing] }, { faults })
}

const NOT_DEFINED = 'no resource server defines this permission'

/** Points at the entries of a list in the body that have a fault. Pure. */
export function faultsAt<Entry>(
  asked: readonly Entry[],
  pointer: string,
  isFaulty: (entry: Entry, position: number) => boolean,
  detail: string,
): InputFault[] {
  return asked.flatMap((entry, position) =>
    isFaulty(entry, position) ? [{ pointer: `${pointer}/${position}`, detail }] : [],
  )
}
