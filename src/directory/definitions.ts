import type { Trx } from '../database/connect.ts'
import {
  definePermissions,
  describePermission,
  type Holder,
  listHolders,
  removePermissions,
} from '../database/queries/permissions.ts'
import { type InputFault, Refusal } from '../errors.ts'
import { type AuditEntry, changesBetween } from './audit.ts'
import { INTROSPECT_PERMISSION } from './management-permissions.ts'

/** A permission as a resource server defines it. Its name is an OAuth scope on the wire. */
export type Definition = { name: string; description: string }

/**
 * The whole list of what a resource server defines: each name once, sorted, `tokens:introspect` always there.
 * Pure. Throws Refusal `input_invalid` for a name that is given twice and for another meaning of
 * `tokens:introspect`.
 */
export function normalizeDefinitions(definitions: readonly Definition[]): Definition[] {
  const faults: InputFault[] = []
  const byName = new Map<string, Definition>([[INTROSPECT_PERMISSION.name, INTROSPECT_PERMISSION]])
  const seen = new Set<string>()
  definitions.forEach(({ name, description }, position) => {
    if (seen.has(name)) {
      faults.push({ pointer: `/permissions/${position}/name`, detail: 'is given more than once' })
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
  const holders = await listHolders(trx, resourceServerId, removed)
  await removePermissions(trx, resourceServerId, removed)
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
  return holders.map((holder) => toLoss(holder, resourceServerId, new Set(removed)))
}

function toLoss(holder: Holder, resourceServerId: string, removed: ReadonlySet<string>): AuditEntry {
  const kept = holder.permissions.filter(
    (entry) => entry.resourceServerId !== resourceServerId || !removed.has(entry.permission),
  )
  return {
    organizationId: holder.organizationId,
    action: 'service_account.updated',
    target: { id: holder.accountId, kind: 'service_account', name: holder.accountName },
    changes: changesBetween({ permissions: holder.permissions }, { permissions: kept }) ?? null,
  }
}
