import type { Trx } from '../database/connect.ts'
import { insertAuditEvents } from '../database/queries/audit-events.ts'
import type { AccountKind, AuditChanges } from '../database/tables.ts'
import { newId } from '../ids.ts'
import type { Actor } from './actor.ts'

/** Everything that the trail can say was done. */
export type AuditAction =
  | `organization.${'created' | 'updated' | 'disabled' | 'enabled' | 'deleted'}`
  | `service_account.${'created' | 'updated' | 'disabled' | 'enabled' | 'deleted' | 'tokens_revoked'}`
  | `${AccountKind}.updated`
  | `role.${'created' | 'updated' | 'deleted'}`
  | `group.${'created' | 'updated' | 'deleted'}`
  | `key.${'created' | 'updated' | 'disabled' | 'enabled' | 'revoked'}`
  | 'token.revoked'
  | `resource_server.${'created' | 'updated' | 'deleted'}`
  | `resource_server_secret.${'created' | 'deleted'}`

/** One change: to what, and which members differ. Never give it a secret. */
export type AuditEntry = {
  /** In whose trail it stands: the organization of the target; the operator organization for the platform. */
  organizationId: string
  action: AuditAction
  target: { id: string; kind: TargetKind; name: string | null }
  changes: AuditChanges | null
}

type TargetKind =
  | 'organization'
  | AccountKind
  | 'role'
  | 'group'
  | 'key'
  | 'token'
  | 'resource_server'
  | 'resource_server_secret'

/** Members of something that can change, named as in code. */
type Facts = Readonly<Record<string, unknown>>

/** Writes down changes in the transaction that makes them (promise 7). `now` in milliseconds. */
export async function recordChanges(
  trx: Trx,
  actor: Actor,
  now: number,
  entries: readonly AuditEntry[],
): Promise<void> {
  await insertAuditEvents(
    trx,
    entries.map((entry) => ({
      organizationId: entry.organizationId,
      id: newId('evt', now),
      at: new Date(now),
      actorId: actor.accountId,
      actorKind: actor.kind,
      actorName: actor.name,
      action: entry.action,
      targetId: entry.target.id,
      targetKind: entry.target.kind,
      targetName: entry.target.name,
      changes: entry.changes,
      reason: null,
      ...actor.request,
    })),
  )
}

/** What something new is. */
export function createdAs(facts: Facts): AuditChanges {
  return { after: toWireNames(facts) as Record<string, unknown> }
}

/** What something that is gone was. */
export function deletedAs(facts: Facts): AuditChanges {
  return { before: toWireNames(facts) as Record<string, unknown> }
}

/** The members that differ, before and after; undefined when none does. */
export function changesBetween(before: Facts, after: Facts): AuditChanges | undefined {
  const was = toWireNames(before) as Record<string, unknown>
  const is = toWireNames(after) as Record<string, unknown>
  const changed = Object.keys(is).filter((name) => JSON.stringify(was[name]) !== JSON.stringify(is[name]))
  if (changed.length === 0) return undefined
  return { before: pick(was, changed), after: pick(is, changed) }
}

function pick(members: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, members[name]]))
}

/** The trail names members as the API does, so that both can be read side by side. */
function toWireNames(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(toWireNames)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      toWireNames(member),
    ]),
  )
}
