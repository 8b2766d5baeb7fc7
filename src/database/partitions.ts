import { type Kysely, sql } from 'kysely'
import type { Config } from '../config.ts'
import { anchorEvents } from './queries/audit-chain.ts'
import type { Database } from './tables.ts'

/** How a record table is cut, how far ahead partitions stand ready and how long history is kept. */
type Partitioning = {
  table: 'grant_records' | 'audit_events'
  unit: 'day' | 'month'
  /** Units that stand ready before and after the present one. Behind, for clocks that lag. */
  behind: number
  ahead: number
}

const PARTITIONINGS: readonly Partitioning[] = [
  { table: 'grant_records', unit: 'day', behind: 1, ahead: 3 },
  { table: 'audit_events', unit: 'month', behind: 1, ahead: 2 },
]

/** How long each kind of record is kept, in days; whole partitions go once all of theirs is older. */
export type Retention = { grantRecordDays: number; auditEventDays: number }

/** The configured retention. */
export function retentionOf(
  config: Pick<Config, 'grantRecordRetentionDays' | 'auditRetentionDays'>,
): Retention {
  return { grantRecordDays: config.grantRecordRetentionDays, auditEventDays: config.auditRetentionDays }
}

export type PartitionChanges = { created: string[]; dropped: string[] }

/** One node maintains at a time. */
const MAINTENANCE_LOCK = {
  skip: sql<{ locked: boolean }>`select pg_try_advisory_lock(4207, 2) as locked`,
  wait: sql<{ locked: boolean }>`select true as locked from pg_advisory_lock(4207, 2)`,
}
const MAINTENANCE_UNLOCK = sql`select pg_advisory_unlock(4207, 2)`
/** Requests matter more: when a table is busy, the next turn will do. */
const LOCK_TIMEOUT = sql`set lock_timeout = '2s'`

/**
 * Creates the partitions that the coming days need and drops those that hold only expired history
 * (promise 6). Safe to call on any number of nodes at once, as often as wished. While another node is at it,
 * this one skips its turn, or waits: at a start, when the partitions must be there. `now` in milliseconds.
 */
export async function maintainPartitions(
  db: Kysely<Database>,
  now: number,
  retention: Retention,
  whenBusy: 'skip' | 'wait' = 'skip',
): Promise<PartitionChanges> {
  return db.connection().execute(async (connection) => {
    const { rows } = await MAINTENANCE_LOCK[whenBusy].execute(connection)
    if (rows[0]?.locked !== true) return { created: [], dropped: [] }
    try {
      await LOCK_TIMEOUT.execute(connection)
      const changes: PartitionChanges = { created: [], dropped: [] }
      for (const partitioning of PARTITIONINGS) {
        const existing = await listPartitions(connection, partitioning.table)
        for (const partition of wantedPartitions(partitioning, now)) {
          if (existing.includes(partition.name)) continue
          await createPartition(connection, partitioning, partition)
          changes.created.push(partition.name)
        }
        const keptFrom = firstKept(partitioning, now, retention)
        for (const name of existing.filter((candidate) => candidate < keptFrom)) {
          if (partitioning.table === 'audit_events') await anchorEvents(connection, name, now)
          await dropPartition(connection, partitioning, name)
          changes.dropped.push(name)
        }
      }
      return changes
    } finally {
      await sql`reset lock_timeout`.execute(connection)
      await MAINTENANCE_UNLOCK.execute(connection)
    }
  })
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
  const days = partitioning.table === 'grant_records' ? retention.grantRecordDays : retention.auditEventDays
  return partitionName(partitioning, startOf(partitioning.unit, now - days * 86_400_000, 0))
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

async function listPartitions(db: Kysely<Database>, table: string): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = ${table}::regclass order by c.relname`.execute(db)
  return rows.map((row) => row.name)
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

/** Detached first, concurrently, so that the drop holds no lock that a request would wait for. */
async function dropPartition(db: Kysely<Database>, { table }: Partitioning, name: string): Promise<void> {
  await sql`alter table ${sql.table(table)} detach partition ${sql.table(name)} concurrently`.execute(db)
  await sql`drop table ${sql.table(name)}`.execute(db)
}
