import type { Trx } from '../database/connect.ts'
import { noteAuditEvents } from '../database/noted-events.ts'
import type { AccountKind, AuditChanges } from '../database/tables.ts'
import type { Reason } from '../errors.ts'
import type { RequestFacts } from './actor.ts'

/** Everything that the trail can say was done. */
export type AuditAction =
  | `organization.${'created' | 'updated' | 'disabled' | 'enabled' | 'deleted'}`
  | `service_account.${'created' | 'updated' | 'disabled' | 'enabled' | 'deleted' | 'tokens_revoked'}`
  | `${AccountKind}.updated`
  | `administrator.${'invited' | 'invitation_accepted' | 'reset' | 'disabled' | 'enabled' | 'deleted'}`
  | `administrator.${'signed_in' | 'signed_out' | 'sign_in_refused' | 'sessions_ended' | 'openid_linked'}`
  | `administrator.${'password_changed' | 'second_factor_enabled' | 'second_factor_disabled'}`
  | 'administrator.recovery_codes_replaced'
  | `identity_provider.${'created' | 'updated' | 'deleted'}`
  | `role.${'created' | 'updated' | 'deleted'}`
  | `group.${'created' | 'updated' | 'deleted'}`
  | `key.${'created' | 'updated' | 'disabled' | 'enabled' | 'revoked'}`
  | `token.${'revoked' | 'refused' | 'revocation_refused'}`
  | `resource_server.${'created' | 'updated' | 'deleted'}`
  | `resource_server_secret.${'created' | 'deleted'}`
  | `resource_server_key.${'created' | 'updated' | 'disabled' | 'enabled' | 'revoked'}`
  | 'installation.rekeyed'
  | 'installation.restored'
  | `signing_key.${'created' | 'activated' | 'retired' | 'removed' | 'revoked'}`

/** One event: what was done to what. Never give it a secret. */
export type AuditEntry = {
  /** In whose trail it stands: the organization of the target; the operator organization for the platform. */
  organizationId: string
  action: AuditAction
  target: { id: string; kind: TargetKind; name: string | null } | null
  /** Which members differ; null where nothing was changed. */
  changes: AuditChanges | null
  /** Why it was refused, when it was. */
  reason?: Reason
  /** How many occurrences it stands for, when not for one. */
  count?: number
}

/** Who did it: an `Actor`, or somebody who has not proven to be anyone. */
export type AuditActor = {
  /** null unless it is an account. */
  accountId: string | null
  kind: AccountKind | 'system' | 'unknown'
  name: string
  request: RequestFacts
}

type TargetKind =
  | 'organization'
  | AccountKind
  | 'role'
  | 'group'
  | 'key'
  | 'token'
  | 'identity_provider'
  | 'resource_server'
  | 'resource_server_secret'
  | 'resource_server_key'
  | 'signing_key'

/** Members of something that can change, named as in code. */
type Facts = Readonly<Record<string, unknown>>

/**
 * Leaves events to be written at the end of the transaction that makes the changes, and in it (promise 7). `now`
 * in milliseconds. Throws for a transaction that was not opened by `transact` or `transactEnding`.
 */
export async function recordChanges(
  trx: Trx,
  actor: AuditActor,
  now: number,
  entries: readonly AuditEntry[],
): Promise<void> {
  noteAuditEvents(
    trx,
    entries.map(({ organizationId, action, target, changes, reason, count }) => ({
      organizationId,
      at: new Date(now),
      actorId: actor.accountId,
      actorKind: actor.kind,
      actorName: actor.name,
      action,
      targetId: target?.id ?? null,
      targetKind: target?.kind ?? null,
      targetName: target?.name ?? null,
      changes,
      reason: reason ?? null,
      count: count ?? null,
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
