import type { Trx } from '../database/connect.ts'
import { type DirectPermission, setDelegation } from '../database/queries/access.ts'
import { GROUPS_SCOPE } from '../database/queries/groups.ts'
import {
  definePermissions,
  describePermission,
  type Holder,
  listHolders,
  lockHolders,
  lockPermissions,
  removePermissions,
} from '../database/queries/permissions.ts'
import { listRolesWith, type Role } from '../database/queries/roles.ts'
import type { Delegation } from '../database/tables.ts'
import { type InputFault, Refusal } from '../errors.ts'
import { type AuditEntry, changesBetween } from './audit.ts'
import { INTROSPECT_PERMISSION } from './management-permissions.ts'

/** A permission as a resource server defines it. Its name is an OAuth scope on the wire. */
export type Definition = { name: string; description: string }

/**
 * The whole list of what a resource server defines: each name once, sorted, `tokens:introspect` always there.
 * Pure. Throws Refusal `input_invalid` for a name that is given twice, for another meaning of
 * `tokens:introspect`, and for `groups`, the scope that is nobody's permission.
 */
export function normalizeDefinitions(definitions: readonly Definition[]): Definition[] {
  const faults: InputFault[] = []
  const byName = new Map<string, Definition>([[INTROSPECT_PERMISSION.name, INTROSPECT_PERMISSION]])
  const seen = new Set<string>()
  definitions.forEach(({ name, description }, position) => {
    if (seen.has(name)) {
      faults.push({ pointer: `/permissions/${position}/name`, detail: 'is given more than once' })
    } else if (name === GROUPS_SCOPE) {
      faults.push({ pointer: `/permissions/${position}/name`, detail: 'is the scope that asks for groups' })
    } else if (name !== INTROSPECT_PERMISSION.name) {
      byName.set(name, { name, description })
    } else if (description !== '' && description !== INTROSPECT_PERMISSION.description) {
      faults.push({
        pointer: `/permissions/${position}/description`,
        detail: 'cannot be changed: this permission is defined on every resource server by itself',
      })
    }
    seen.add(name)
  })
  if (faults.length > 0) throw new Refusal('input_invalid', { faults }, { faults })
  return [...byName.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
}

/**
 * Makes the definitions of a resource server what they shall be. Answers the events of the accounts that lose
 * a permission by it.
 */
export async function replaceDefinitions(
  trx: Trx,
  resourceServerId: string,
  before: readonly Definition[],
  after: readonly Definition[],
): Promise<AuditEntry[]> {
  const names = new Set(after.map((definition) => definition.name))
  const removed = before.map((definition) => definition.name).filter((name) => !names.has(name))
  const losses = await removeDefinitions(trx, resourceServerId, removed)
  const descriptions = new Map(before.map((definition) => [definition.name, definition.description]))
  await definePermissions(
    trx,
    resourceServerId,
    after.filter((definition) => !descriptions.has(definition.name)),
  )
  for (const definition of after) {
    const former = descriptions.get(definition.name)
    if (former !== undefined && former !== definition.description)
      await describePermission(trx, resourceServerId, definition)
  }
  return losses
}

/**
 * Removes definitions from accounts, delegations and roles. Answers who loses by it. Accounts are held before
 * permissions, as by everybody who gives, so that nobody waits in a circle; and once more afterwards, with those who
 * were given one until then. What is written back of a delegation must be what it is, not what it was.
 */
async function removeDefinitions(
  trx: Trx,
  resourceServerId: string,
  names: readonly string[],
): Promise<AuditEntry[]> {
  await lockHolders(trx, resourceServerId, names)
  await lockPermissions(trx, resourceServerId, names)
  await lockHolders(trx, resourceServerId, names)
  const isKept = (entry: DirectPermission) =>
    entry.resourceServerId !== resourceServerId || !names.includes(entry.permission)
  const holders = await listHolders(trx, resourceServerId, names)
  const roles = await listRolesWith(trx, resourceServerId, names)
  for (const { accountId, delegation } of holders) {
    if (delegation !== null) await setDelegation(trx, accountId, keepDelegated(delegation, isKept))
  }
  await removePermissions(trx, resourceServerId, names)
  return [
    ...roles.map((role) => toRoleLoss(role, isKept)),
    ...holders.map((holder) => toLoss(holder, isKept)),
  ]
}

function toLoss(holder: Holder, isKept: (entry: DirectPermission) => boolean): AuditEntry {
  const { permissions, delegation } = holder
  const kept = {
    permissions: permissions.filter(isKept),
    delegation: delegation && keepDelegated(delegation, isKept),
  }
  return {
    organizationId: holder.organizationId,
    action: `${holder.accountKind}.updated`,
    target: { id: holder.accountId, kind: holder.accountKind, name: holder.accountName },
    changes: changesBetween({ permissions, delegation }, kept) ?? null,
  }
}

function toRoleLoss(role: Role, isKept: (entry: DirectPermission) => boolean): AuditEntry {
  const { id, name, permissions } = role
  return {
    organizationId: role.organizationId as string,
    action: 'role.updated',
    target: { id, kind: 'role', name },
    changes: changesBetween({ permissions }, { permissions: permissions.filter(isKept) }) ?? null,
  }
}

function keepDelegated(
  { subjects, permissions }: Delegation,
  isKept: (entry: DirectPermission) => boolean,
): Delegation {
  return { subjects, permissions: permissions.filter(isKept) }
}
