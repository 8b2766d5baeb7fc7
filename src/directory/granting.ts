import type { Db, Trx } from '../database/connect.ts'
import type { DirectPermission } from '../database/queries/accounts.ts'
import {
  grantPermissions,
  listPermissionsOfAccount,
  shareDefined,
  withdrawPermissions,
} from '../database/queries/permissions.ts'
import { findBuiltInResourceServer } from '../database/queries/resource-servers.ts'
import { Refusal } from '../errors.ts'
import type { Actor } from './actor.ts'

/** Whether the actor may give a permission to an account. */
export type GrantJudge = (permission: DirectPermission) => boolean

/**
 * Nobody grants what they do not hold (promise 8):
 * - permissions of the management API: those that the actor's present token bears, so that a token with a
 *   narrow scope cannot make itself a wider one;
 * - permissions of other resource servers: those that the actor's account has; whoever manages resource
 *   servers may give them all, since they could define them as well.
 */
export async function readGrantJudge(db: Db, actor: Actor): Promise<GrantJudge> {
  if (actor.accountId === null) return () => true
  const held = new Set((await listPermissionsOfAccount(db, actor.accountId)).map(keyOf))
  const builtIn = await findBuiltInResourceServer(db)
  const managesResourceServers = actor.isOperator && actor.permissions.includes('resource_servers:manage')
  return (permission) =>
    permission.resourceServerId === builtIn?.id
      ? actor.permissions.includes(permission.permission)
      : managesResourceServers || held.has(keyOf(permission))
}

/** Throws Refusal `permission_not_held` that names what the actor may not give. */
async function assertMayGrant(db: Db, actor: Actor, permissions: readonly DirectPermission[]): Promise<void> {
  if (permissions.length === 0) return
  const mayGrant = await readGrantJudge(db, actor)
  const beyond = permissions.filter((permission) => !mayGrant(permission))
  if (beyond.length === 0) return
  throw new Refusal(
    'permission_not_held',
    { beyond },
    { hint: `You can give only what you have yourself. You lack: ${namesOf(beyond)}.` },
  )
}

/**
 * A key does all that its account may do, so making one for an account is giving oneself its permissions.
 * Throws Refusal `permission_not_held` when the account has more than the actor may give.
 */
export async function assertMayMakeKey(db: Db, actor: Actor, accountId: string): Promise<void> {
  await assertMayGrant(db, actor, await listPermissionsOfAccount(db, accountId))
}

/** One text for a permission, to compare by. */
export function keyOf(permission: DirectPermission): string {
  return `${permission.resourceServerId} ${permission.permission}`
}

/** Names are scope tokens: no quotes, no backslashes, safe to show. */
function namesOf(permissions: readonly DirectPermission[]): string {
  return permissions.map((entry) => entry.permission).join(', ')
}

/**
 * Gives what is new in the list and takes what is not in it any more. Faults point into the list as it came.
 * Throws Refusal `input_invalid` or `permission_not_held`.
 */
export async function replacePermissions(
  trx: Trx,
  actor: Actor,
  account: { id: string; permissions: readonly DirectPermission[] },
  wanted: readonly DirectPermission[],
): Promise<void> {
  const given = difference(wanted, account.permissions)
  await requireDefined(trx, given, wanted)
  await assertMayGrant(trx, actor, given)
  await withdrawPermissions(trx, account.id, difference(account.permissions, wanted))
  await grantPermissions(trx, account.id, given)
}

/** Those of the first list that are not in the second. Pure. */
function difference(
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
 * Throws Refusal `input_invalid` that points at those which are not, as they stand in the list `asked`.
 */
async function requireDefined(
  trx: Trx,
  permissions: readonly DirectPermission[],
  asked: readonly DirectPermission[],
): Promise<void> {
  const missing = new Set(difference(permissions, await shareDefined(trx, permissions)).map(keyOf))
  if (missing.size === 0) return
  const faults = asked.flatMap((permission, position) =>
    missing.has(keyOf(permission))
      ? [{ pointer: `/permissions/${position}`, detail: 'no resource server defines this permission' }]
      : [],
  )
  throw new Refusal('input_invalid', { missing: [...missing] }, { faults })
}
