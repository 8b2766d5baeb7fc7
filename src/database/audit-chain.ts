import { createHash } from 'node:crypto'
import type { AuditChanges, AuditEventRow } from './tables.ts'

/** What comes before the first event of an organization. */
export const GENESIS_HASH = Buffer.alloc(32)

/** What an event says, without its place in the chain. */
export type AuditContent = Omit<AuditEventRow, 'sequence' | 'previousHash' | 'hash'>

/** A place in the chain of an organization: sequences begin at 1 and have no gaps. */
export type ChainLink = { sequence: number; previousHash: Buffer }

/** The newest event of an organization; sequence 0 and the genesis hash where there is none. */
export type ChainHead = { sequence: number; hash: Buffer }

/** An event as the API shows it, without its place in the chain. Members are never renamed or taken out. */
export type DescribedEvent = {
  id: string
  at: string
  organization_id: string
  actor: { id: string | null; kind: string; name: string }
  action: string
  target: { id: string | null; kind: string; name: string | null } | null
  changes: AuditChanges | null
  reason: string | null
  count: number | null
  ip: string | null
  user_agent: string | null
  request_id: string | null
}

/**
 * The form in which an event is shown and hashed. That it is one form is the point: whoever has the events
 * from the API can recompute the chain (docs/audit.md). A member that a later version adds must be left out
 * where it has no value, or the hashes of older events would not hold any more.
 */
export function describeEvent(event: AuditContent): DescribedEvent {
  return {
    id: event.id,
    at: event.at.toISOString(),
    organization_id: event.organizationId,
    actor: { id: event.actorId, kind: event.actorKind, name: event.actorName },
    action: event.action,
    target:
      event.targetKind === null
        ? null
        : { id: event.targetId, kind: event.targetKind, name: event.targetName },
    changes: event.changes,
    reason: event.reason,
    count: event.count,
    ip: event.ip,
    user_agent: event.userAgent,
    request_id: event.requestId,
  }
}

/** SHA-256 of the event's canonical JSON (RFC 8785), its place in the chain included. */
export function hashEvent(event: AuditContent, { sequence, previousHash }: ChainLink): Buffer {
  const chain = { sequence, previous_hash: previousHash.toString('hex') }
  return createHash('sha256')
    .update(canonicalize({ ...describeEvent(event), chain }))
    .digest()
}

/**
 * RFC 8785 (JCS) for values that come from JSON: members sorted by their UTF-16 code units, no space, and
 * everything else as ECMAScript's own JSON.stringify writes it, which is what the RFC prescribes.
 */
export function canonicalize(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalize).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalize(member)}`).join(',')}}`
}
