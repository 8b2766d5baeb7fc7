import { createHash } from 'node:crypto'
import { type Kysely, sql } from 'kysely'

/**
 * Events of an organization become a chain of hashes (docs/audit.md): those that are there already are chained
 * in the order of their ids. Also the indexes of the merged trail and of the reviews.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await createChain(db)
  await chainExistingEvents(db)
  await sql`
    alter table audit_events
      alter column sequence set not null,
      alter column previous_hash set not null,
      alter column hash set not null`.execute(db)
  await createIndexes(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createChain(db: Kysely<any>): Promise<void> {
  await sql`
    alter table audit_events
      add column count integer,
      add column sequence bigint,
      add column previous_hash bytea,
      add column hash bytea`.execute(db)
  // One row for each organization, changed with each of its events: room on the page keeps that cheap. No
  // foreign key: its lock on the organization would come after all others, and could close a circle.
  await sql`
    create table audit_heads (
      organization_id text primary key,
      sequence bigint not null,
      hash bytea not null
    ) with (fillfactor = 50)`.execute(db)
  await sql`
    create table audit_anchors (
      organization_id text not null,
      first_sequence bigint not null,
      last_sequence bigint not null,
      previous_hash bytea not null,
      hash bytea not null,
      dropped_at timestamptz not null,
      primary key (organization_id, last_sequence)
    )`.execute(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createIndexes(db: Kysely<any>): Promise<void> {
  await sql`create unique index audit_events_sequence on audit_events (organization_id, sequence, at)`.execute(
    db,
  )
  await sql`create index audit_events_action on audit_events (organization_id, action, id desc)`.execute(db)
  await sql`
    create index audit_events_request on audit_events (organization_id, request_id, id desc)
    where request_id is not null`.execute(db)
  await sql`create index grant_records_trail on grant_records (organization_id, id desc)`.execute(db)
  await sql`
    create index grant_records_delegated on grant_records (organization_id, subject, id desc)
    where subject <> account_id`.execute(db)
  await sql`
    create index accounts_without_owner on accounts (organization_id, id desc)
    where owner_contact is null and status <> 'deleted'`.execute(db)
  await sql`
    create index keys_expiring on keys (expires_at, account_id)
    where status = 'active' and expires_at is not null`.execute(db)
}

const GENESIS_HASH = Buffer.alloc(32)
const EVENTS_PER_BATCH = 1000

// biome-ignore lint/suspicious/noExplicitAny: as above
async function chainExistingEvents(db: Kysely<any>): Promise<void> {
  const { rows: organizations } = await sql<{ id: string }>`select id from organizations order by id`.execute(
    db,
  )
  for (const { id } of organizations) {
    const head = { sequence: 0, hash: GENESIS_HASH, lastId: '' }
    for (;;) {
      const { rows } = await sql<EventRow>`
        select id, at, organization_id as "organizationId", actor_id as "actorId", actor_kind as "actorKind",
               actor_name as "actorName", action, target_id as "targetId", target_kind as "targetKind",
               target_name as "targetName", changes, reason, ip, user_agent as "userAgent", request_id as "requestId"
        from audit_events where organization_id = ${id} and id > ${head.lastId}
        order by id limit ${EVENTS_PER_BATCH}`.execute(db)
      if (rows.length === 0) break
      for (const row of rows) {
        const sequence = head.sequence + 1
        const previousHash = head.hash
        const hash = hashEvent(row, sequence, previousHash)
        await sql`
          update audit_events set sequence = ${sequence}, previous_hash = ${previousHash}, hash = ${hash}
          where organization_id = ${id} and id = ${row.id}`.execute(db)
        Object.assign(head, { sequence, hash, lastId: row.id })
      }
    }
    await sql`
      insert into audit_heads (organization_id, sequence, hash)
      values (${id}, ${head.sequence}, ${head.hash})`.execute(db)
  }
}

type EventRow = {
  id: string
  at: Date
  organizationId: string
  actorId: string | null
  actorKind: string
  actorName: string
  action: string
  targetId: string | null
  targetKind: string | null
  targetName: string | null
  changes: unknown
  reason: string | null
  ip: string | null
  userAgent: string | null
  requestId: string | null
}

/** As src/database/audit-chain.ts was when this was written. */
function hashEvent(event: EventRow, sequence: number, previousHash: Buffer): Buffer {
  const content = {
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
    count: null,
    ip: event.ip,
    user_agent: event.userAgent,
    request_id: event.requestId,
    chain: { sequence, previous_hash: previousHash.toString('hex') },
  }
  return createHash('sha256').update(canonicalize(content)).digest()
}

function canonicalize(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalize).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalize(member)}`).join(',')}}`
}
