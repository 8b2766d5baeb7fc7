import { type Kysely, sql, type Transaction } from 'kysely'
import { newId } from '../../ids.ts'
import { type AuditContent, type ChainHead, GENESIS_HASH, hashEvent } from '../audit-chain.ts'
import type { AuditAnchorRow, AuditEventRow, Database } from '../tables.ts'

/** An event as a rule describes it: its id and its place in the chain are given when it is stored. */
export type NewAuditEvent = Omit<AuditContent, 'id'>

/** Rows of one statement: far below PostgreSQL's 65535 parameters. */
const MAX_EVENTS_PER_STATEMENT = 1000
/** Rows that a reader of a chain holds at a time. */
const ROWS_PER_FETCH = 1000

/**
 * Adds events to the chains of their organizations. The heads are locked until the transaction ends, so this
 * comes last in it (src/database/transaction.ts): whoever holds a head waits for nobody but for other heads,
 * and these are taken in one order. So no circle of waiting can close.
 */
export async function appendAuditEvents(
  trx: Transaction<Database>,
  events: readonly NewAuditEvent[],
): Promise<void> {
  if (events.length === 0) return
  const heads = await lockHeads(trx, [...new Set(events.map((event) => event.organizationId))])
  const rows = nameInOrder(events).map((event) => {
    const head = heads.get(event.organizationId)
    if (head === undefined) throw new Error(`no head was locked for ${event.organizationId}`)
    const place = { sequence: head.sequence + 1, previousHash: head.hash }
    // Hashed as it will be read back: JSON has no undefined members and no dates.
    const changes = event.changes === null ? null : JSON.stringify(event.changes)
    const hash = hashEvent({ ...event, changes: changes === null ? null : JSON.parse(changes) }, place)
    heads.set(event.organizationId, { sequence: place.sequence, hash })
    return { ...event, changes, ...place, hash }
  })
  for (let start = 0; start < rows.length; start += MAX_EVENTS_PER_STATEMENT) {
    await trx
      .insertInto('auditEvents')
      .values(rows.slice(start, start + MAX_EVENTS_PER_STATEMENT))
      .execute()
  }
  await moveHeads(trx, heads)
}

/** In the order of their times, with ids that sort alike: also those of one millisecond list as they happened. */
function nameInOrder(events: readonly NewAuditEvent[]): AuditContent[] {
  const ordered = [...events].sort((one, other) => one.at.getTime() - other.at.getTime())
  const ids = ordered.map((event) => newId('evt', event.at.getTime())).sort()
  return ordered.map((event, position) => ({ ...event, id: ids[position] as string }))
}

/** An upsert locks also where there is no head yet; the update that it makes of the others changes nothing. */
async function lockHeads(
  trx: Transaction<Database>,
  organizationIds: readonly string[],
): Promise<Map<string, ChainHead>> {
  const { rows } = await sql<{ organizationId: string; sequence: string; hash: Buffer }>`
    insert into audit_heads as h (organization_id, sequence, hash)
    select id, 0, ${GENESIS_HASH} from unnest(${organizationIds}::text[]) as id order by id collate "C"
    on conflict (organization_id) do update set sequence = h.sequence
    returning organization_id, sequence, hash`.execute(trx)
  return new Map(rows.map((row) => [row.organizationId, { sequence: Number(row.sequence), hash: row.hash }]))
}

async function moveHeads(trx: Transaction<Database>, heads: ReadonlyMap<string, ChainHead>): Promise<void> {
  const ids = [...heads.keys()]
  const values = [...heads.values()]
  await sql`
    update audit_heads h set sequence = n.sequence, hash = n.hash
    from unnest(
      ${ids}::text[], ${values.map((head) => head.sequence)}::bigint[], ${values.map((head) => head.hash)}::bytea[]
    ) as n (organization_id, sequence, hash)
    where h.organization_id = n.organization_id`.execute(trx)
}

/** An organization that has a chain or should have one. Without a head, somebody has taken it away. */
export type Chain = { organizationId: string; slug: string | null; head: ChainHead | undefined }

/** All chains, also of deleted organizations; those of one slug only, when one is given. */
export async function listChains(db: Kysely<Database>, slug?: string): Promise<Chain[]> {
  const { rows } = await sql<{
    organizationId: string
    slug: string | null
    sequence: string | null
    hash: Buffer | null
  }>`
    select coalesce(o.id, h.organization_id) as organization_id, o.slug, h.sequence, h.hash
    from organizations o full join audit_heads h on h.organization_id = o.id
    where ${slug ?? null}::text is null or o.slug = ${slug ?? null}
    order by 1`.execute(db)
  return rows.map(({ organizationId, slug, sequence, hash }) => ({
    organizationId,
    slug,
    head: sequence === null || hash === null ? undefined : { sequence: Number(sequence), hash },
  }))
}

/** What is read of a chain, all of it as it was at one moment. */
export type ChainReading = {
  head: ChainHead | undefined
  anchors: readonly AuditAnchorRow[]
  /** By sequence, a few at a time; `id` decides between events that claim one sequence. */
  events: AsyncIterable<AuditEventRow>
}

/**
 * Lets `read` go through the chain of an organization. Everything is seen as it was when that began, whatever
 * is added or dropped meanwhile, and only a few events are in memory at a time.
 */
export function readChain<Result>(
  db: Kysely<Database>,
  organizationId: string,
  read: (chain: ChainReading) => Promise<Result>,
): Promise<Result> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      const head = await findHead(trx, organizationId)
      const anchors = await trx
        .selectFrom('auditAnchors')
        .selectAll()
        .where('organizationId', '=', organizationId)
        .orderBy('lastSequence')
        .execute()
      return read({
        head,
        anchors,
        events: fetchEvents(trx, organizationId),
      })
    })
}

/** Sequence and hash of the newest event; undefined where nothing was ever written, or the head was taken away. */
export async function findHead(db: Kysely<Database>, organizationId: string): Promise<ChainHead | undefined> {
  const head = await db
    .selectFrom('auditHeads')
    .select(['sequence', 'hash'])
    .where('organizationId', '=', organizationId)
    .executeTakeFirst()
  return head && { sequence: Number(head.sequence), hash: head.hash }
}

async function* fetchEvents(
  trx: Transaction<Database>,
  organizationId: string,
): AsyncGenerator<AuditEventRow> {
  await sql`
    declare chain no scroll cursor for
    select * from audit_events where organization_id = ${sql.lit(organizationId)} order by sequence, at, id`.execute(
    trx,
  )
  for (;;) {
    const { rows } = await sql<AuditEventRow>`fetch ${sql.lit(ROWS_PER_FETCH)} from chain`.execute(trx)
    yield* rows
    if (rows.length < ROWS_PER_FETCH) return
  }
}

/**
 * Writes down which events go with a partition that is about to be dropped, so that a chain which begins late
 * can be told from one that was cut. Usually the events of an organization in it are one run that follows the
 * anchor before; where clocks differed around the turn of the month, there may be more. Doing it again for the
 * same partition changes nothing.
 */
export async function anchorEvents(db: Kysely<Database>, partition: string, now: number): Promise<void> {
  for (const { organizationId } of await listChains(db)) {
    await sql`
      with numbered as (
        select sequence, previous_hash, hash, sequence - row_number() over (order by sequence) as run
        from ${sql.table(partition)} where organization_id = ${organizationId}
      ), ends as (
        select min(sequence) as first_sequence, max(sequence) as last_sequence from numbered group by run
      ), runs as (
        select e.*, f.previous_hash, l.hash
        from ends e
        join numbered f on f.sequence = e.first_sequence
        join numbered l on l.sequence = e.last_sequence
        where not exists (
          select from audit_anchors a
          where a.organization_id = ${organizationId}
            and a.first_sequence <= e.first_sequence and a.last_sequence >= e.last_sequence
        )
      ), extended as (
        update audit_anchors a
        set last_sequence = r.last_sequence, hash = r.hash, dropped_at = ${new Date(now)}
        from runs r
        where a.organization_id = ${organizationId} and a.last_sequence = r.first_sequence - 1
          and a.hash = r.previous_hash
        returning r.first_sequence
      )
      insert into audit_anchors (organization_id, first_sequence, last_sequence, previous_hash, hash, dropped_at)
      select ${organizationId}, r.first_sequence, r.last_sequence, r.previous_hash, r.hash, ${new Date(now)}
      from runs r
      where r.first_sequence not in (select x.first_sequence from extended x)`.execute(db)
  }
}
