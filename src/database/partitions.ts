import { type Kysely, sql } from 'kysely'
import type { Config } from '../config.ts'
import { anchorEvents } from './queries/audit-chain.ts'
import type { Database } from './tables.ts'
import { TALLY_RETENTION_DAYS, tallyTokens } from './token-tallies.ts'

/** How a record table is cut, how far ahead partitions stand ready and how long history is kept. */
type Partitioning = {
  table: 'grant_records' | 'used_jtis' | 'audit_events' | 'token_tallies'
  unit: 'day' | 'month'
  /** Units that stand ready before and after the present one. Behind, for clocks that lag. */
  behind: number
  ahead: number
}

const PARTITIONINGS: readonly Partitioning[] = [
  { table: 'grant_records', unit: 'day', behind: 1, ahead: 3 },
  { table: 'used_jtis', unit: 'day', behind: 1, ahead: 3 },
  { table: 'audit_events', unit: 'month', behind: 1, ahead: 2 },
  // Behind, for the days of grant records that an upgrade finds uncounted.
  { table: 'token_tallies', unit: 'month', behind: 2, ahead: 2 },
]

/** How long each kind of record is kept, in days; whole partitions go once all of theirs is older. */
export type Retention = { grantRecordDays: number; auditEventDays: number }

/** The configured retention. */
export function retentionOf(
  config: Pick<Config, 'grantRecordRetentionDays' | 'auditRetentionDays'>,
): Retention {
  return { grantRecordDays: config.grantRecordRetentionDays, auditEventDays: config.auditRetentionDays }
}

const DAY_MILLISECONDS = 86_400_000
/** A jti counts until its JWT has expired for every clock; what is older serves nobody. */
const USED_JTI_DAYS = 1

/** `tallied` are days, as milliseconds at their midnight in UTC, whose tokens were counted. */
export type PartitionChanges = { created: string[]; tallied: number[]; dropped: string[] }

/** One node maintains at a time. */
const MAINTENANCE_LOCK = {
  skip: sql<{ locked: boolean }>`select pg_try_advisory_lock(4207, 2) as locked`,
  wait: sql<{ locked: boolean }>`select true as locked from pg_advisory_lock(4207, 2)`,
}
const MAINTENANCE_UNLOCK = sql`select pg_advisory_unlock(4207, 2)`
/** Requests matter more: when a table is busy, the next turn will do. */
const LOCK_TIMEOUT = sql`set lock_timeout = '2s'`

/**
 * Creates the partitions that the coming days need, at a start, when they must be there: waits while another
 * node is at it. Drops nothing, so that a server starts also while a backup reads what is to be dropped.
 * `now` in milliseconds.
 */
export async function preparePartitions(db: Kysely<Database>, now: number): Promise<void> {
  await maintain(db, 'wait', (connection) => createDue(connection, now))
}

/**
 * Creates the partitions that the coming days need, counts the tokens of days that are over, and drops the partitions
 * that hold only expired history (promise 6). Safe to call on any number of nodes at once, as often as wished: while another node is at it,
 * this one skips its turn. `now` in milliseconds.
 */
export async function maintainPartitions(
  db: Kysely<Database>,
  now: number,
  retention: Retention,
): Promise<PartitionChanges> {
  const changes = await maintain(db, 'skip', async (connection) => {
    // First all that must be there: what is to be dropped may be read by somebody, for as long as that takes.
    const created = await createDue(connection, now)
    // Before what it counts is dropped; but storage stays bounded whatever becomes of it.
    const [tallied] = await Promise.allSettled([tallyDue(connection, now)])
    const dropped = await dropExpired(connection, now, retention)
    if (tallied.status === 'rejected') throw tallied.reason
    return { created, tallied: tallied.value, dropped }
  })
  return changes ?? { created: [], tallied: [], dropped: [] }
}

/** Partitions that are not there, and those that should no longer be. */
export type PartitionState = {
  /** Of the present day or month: without them nothing is recorded. */
  missingNow: string[]
  /** Of the next one, that stands ready otherwise. */
  missingNext: string[]
  /** That hold only expired history, though they should have been dropped a day ago or longer. */
  overdue: string[]
}

/** Compares the partitions that there are with those that maintenance keeps. Changes nothing. `now` in milliseconds. */
export async function inspectPartitions(
  db: Kysely<Database>,
  now: number,
  retention: Retention,
): Promise<PartitionState> {
  const state: PartitionState = { missingNow: [], missingNext: [], overdue: [] }
  for (const partitioning of PARTITIONINGS) {
    const existing = await listPartitions(db, partitioning)
    const isMissing = (name: string) => !existing.some((one) => one.name === name && one.state === 'attached')
    const nameAt = (offset: number) => partitionName(partitioning, startOf(partitioning.unit, now, offset))
    state.missingNow.push(...[nameAt(0)].filter(isMissing))
    state.missingNext.push(...[nameAt(1)].filter(isMissing))
    const keptFrom = firstKept(partitioning, now - DAY_MILLISECONDS, retention)
    state.overdue.push(...existing.map(({ name }) => name).filter((name) => name < keptFrom))
  }
  return state
}

/** Runs a turn under the lock; undefined when another node has it and this one does not wait. */
async function maintain<Result>(
  db: Kysely<Database>,
  whenBusy: keyof typeof MAINTENANCE_LOCK,
  turn: (connection: Kysely<Database>) => Promise<Result>,
): Promise<Result | undefined> {
  return db.connection().execute(async (connection) => {
    const { rows } = await MAINTENANCE_LOCK[whenBusy].execute(connection)
    if (rows[0]?.locked !== true) return undefined
    try {
      await LOCK_TIMEOUT.execute(connection)
      return await turn(connection)
    } finally {
      await sql`reset lock_timeout`.execute(connection)
      await MAINTENANCE_UNLOCK.execute(connection)
    }
  })
}

async function createDue(db: Kysely<Database>, now: number): Promise<string[]> {
  const created: string[] = []
  for (const partitioning of PARTITIONINGS) {
    const existing = await listPartitions(db, partitioning)
    const attached = existing.filter(({ state }) => state !== 'detached').map(({ name }) => name)
    for (const partition of wantedPartitions(partitioning, now)) {
      if (attached.includes(partition.name)) continue
      await createPartition(db, partitioning, partition)
      created.push(partition.name)
    }
  }
  return created
}

/** Counts the days whose records are all there. */
async function tallyDue(db: Kysely<Database>, now: number): Promise<number[]> {
  const [grantRecords] = PARTITIONINGS as readonly [Partitioning]
  const existing = await listPartitions(db, grantRecords)
  const attached = new Set(existing.filter(({ state }) => state === 'attached').map(({ name }) => name))
  return tallyTokens(db, now, (day) => attached.has(partitionName(grantRecords, new Date(day))))
}

async function dropExpired(db: Kysely<Database>, now: number, retention: Retention): Promise<string[]> {
  const dropped: string[] = []
  for (const partitioning of PARTITIONINGS) {
    const keptFrom = firstKept(partitioning, now, retention)
    for (const partition of await listPartitions(db, partitioning)) {
      if (partition.name >= keptFrom) continue
      if (partitioning.table === 'audit_events') await anchorEvents(db, partition.name, now)
      await dropPartition(db, partitioning, partition)
      dropped.push(partition.name)
    }
  }
  return dropped
}

type Partition = { name: string; from: Date; to: Date }

function wantedPartitions(partitioning: Partitioning, now: number): Partition[] {
  const partitions: Partition[] = []
  for (let offset = -partitioning.behind; offset <= partitioning.ahead; offset++) {
    const from = startOf(partitioning.unit, now, offset)
    const to = startOf(partitioning.unit, now, offset + 1)
    partitions.push({ name: partitionName(partitioning, from), from, to })
  }
  return partitions
}

/** Names sort by time, so the oldest kept name draws the line. */
function firstKept(partitioning: Partitioning, now: number, retention: Retention): string {
  const days = daysKept(partitioning.table, retention)
  return partitionName(partitioning, startOf(partitioning.unit, now - days * DAY_MILLISECONDS, 0))
}

function daysKept(table: Partitioning['table'], retention: Retention): number {
  switch (table) {
    case 'grant_records':
      return retention.grantRecordDays
    case 'used_jtis':
      return USED_JTI_DAYS
    case 'audit_events':
      return retention.auditEventDays
    case 'token_tallies':
      return TALLY_RETENTION_DAYS
  }
}

function partitionName(partitioning: Partitioning, from: Date): string {
  const digits = from
    .toISOString()
    .slice(0, partitioning.unit === 'day' ? 10 : 7)
    .replaceAll('-', '')
  return `${partitioning.table}_${digits}`
}

function startOf(unit: 'day' | 'month', now: number, offset: number): Date {
  const date = new Date(now)
  return unit === 'day'
    ? new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + offset))
    : new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset))
}

/** `detaching` and `detached`: a turn that dropped it was cut short there. */
type ExistingPartition = { name: string; state: 'attached' | 'detaching' | 'detached' }

/** By name, also those that are not attached: not yet, or no longer while they still take room. */
async function listPartitions(
  db: Kysely<Database>,
  { table, unit }: Partitioning,
): Promise<ExistingPartition[]> {
  const name = `^${table}_\\d{${unit === 'day' ? 8 : 6}}$`
  const { rows } = await sql<ExistingPartition>`
    select c.relname as name,
           case when i.inhrelid is null then 'detached' when i.inhdetachpending then 'detaching' else 'attached' end
             as state
    from pg_class c left join pg_inherits i on i.inhrelid = c.oid
    where c.relkind = 'r' and c.relname ~ ${name}
      and c.relnamespace = (select p.relnamespace from pg_class p where p.oid = ${table}::regclass)
    order by c.relname`.execute(db)
  return rows
}

/** Attaching takes a weaker lock than `create table … partition of`: reads and inserts go on meanwhile. */
async function createPartition(
  db: Kysely<Database>,
  { table }: Partitioning,
  { name, from, to }: Partition,
): Promise<void> {
  await sql`create table if not exists ${sql.table(name)} (like ${sql.table(table)} including all)`.execute(
    db,
  )
  await sql`
    alter table ${sql.table(table)} attach partition ${sql.table(name)}
    for values from (${sql.lit(from.toISOString())}) to (${sql.lit(to.toISOString())})`.execute(db)
}

/**
 * Detached first, concurrently, so that the drop holds no lock that a request would wait for. That waits for
 * everybody who still reads; whoever reads for long (a backup) outlasts it, and then a later turn finishes it,
 * which is the only thing that PostgreSQL still takes.
 */
async function dropPartition(
  db: Kysely<Database>,
  { table }: Partitioning,
  { name, state }: ExistingPartition,
): Promise<void> {
  if (state !== 'detached') {
    const how = state === 'detaching' ? sql`finalize` : sql`concurrently`
    await sql`alter table ${sql.table(table)} detach partition ${sql.table(name)} ${how}`.execute(db)
  }
  await sql`drop table ${sql.table(name)}`.execute(db)
}
