import { CLOCK_SKEW_SECONDS } from '../../assertion/claims.ts'
import type { Config } from '../../config.ts'
import type { Db } from '../../database/connect.ts'
import { readServerFacts, type ServerFacts } from '../../database/inspection.ts'
import { OLDEST_SERVER_VERSION, type SchemaState } from '../../database/migrate.ts'
import { inspectPartitions, type PartitionState, type Retention } from '../../database/partitions.ts'
import { type Check, count, failed, ok, warning } from './check.ts'

/** More than a network and a well-kept clock explain. */
const CLOCK_WARNING_MILLISECONDS = 1_000

/** The checks of the database server itself. */
export function judgeServer(
  facts: ServerFacts,
  config: Pick<Config, 'database' | 'databasePoolSize' | 'workers'>,
): Check[] {
  return [
    judgeVersion(facts),
    judgeDurability(facts),
    judgeIsolation(facts),
    judgeConnection(facts, config),
    judgeConnections(facts, config),
  ]
}

function judgeVersion({ version, versionNumber }: ServerFacts): Check {
  const name = 'database version'
  return versionNumber >= OLDEST_SERVER_VERSION
    ? ok(name, `PostgreSQL ${version}`)
    : failed(name, `PostgreSQL ${version}`, 'Countersign needs PostgreSQL 15 or later.')
}

/** Promise 3: a token that was answered is on disk. */
function judgeDurability({ fsync, fullPageWrites, synchronousCommit }: ServerFacts): Check {
  const name = 'database durability'
  const found = `fsync ${fsync}, full_page_writes ${fullPageWrites}, synchronous_commit ${synchronousCommit}`
  if (fsync !== 'on') {
    return failed(name, found, 'Set fsync = on: without it a power cut can destroy the whole database.')
  }
  if (synchronousCommit === 'off') {
    return failed(
      name,
      found,
      'Every session of ours asks for synchronous_commit = on; what stands between (a pooler?) must not take it out: ' +
        'a token that was answered could be forgotten, and its assertion accepted again.',
    )
  }
  if (fullPageWrites !== 'on') {
    return warning(name, found, 'Set full_page_writes = on, unless the file system never tears a page (ZFS).')
  }
  return ok(name, found)
}

function judgeIsolation({ isolation }: ServerFacts): Check {
  const name = 'database isolation'
  if (isolation === 'read committed') return ok(name, isolation)
  return failed(
    name,
    isolation,
    'Sessions of ours ask for read committed; what stands between must not change that: revocations could be missed.',
  )
}

function judgeConnection(
  { isRemote, isEncrypted, isSuperuser }: ServerFacts,
  { database }: Pick<Config, 'database'>,
): Check {
  const name = 'database connection'
  const how = isRemote ? (isEncrypted ? 'over TLS' : 'over the network, not encrypted') : 'on this machine'
  if (isRemote && !isEncrypted) {
    return warning(
      name,
      how,
      'Put sslmode=verify-full into DATABASE_URL, or make sure that nobody can listen in.',
    )
  }
  // The embedded one has nobody else in it.
  if (isSuperuser && database.kind === 'external') {
    return warning(
      name,
      `${how}, as a superuser`,
      'Give Countersign a role of its own that owns its database and nothing else.',
    )
  }
  return ok(name, how)
}

/** Each worker takes its pool; PostgreSQL keeps three for its superuser. */
function judgeConnections(
  { maxConnections }: ServerFacts,
  { databasePoolSize, workers }: Pick<Config, 'databasePoolSize' | 'workers'>,
) {
  const name = 'database connections'
  const forNode = databasePoolSize * workers
  const nodes = Math.floor((maxConnections - 3) / forNode)
  const inWorkers = workers === 1 ? '' : ` with its ${workers} workers`
  const found = `max_connections ${maxConnections}, ${forNode} for each node${inWorkers}`
  if (nodes >= 2) return ok(name, `${found}: enough for ${nodes} nodes`)
  return warning(
    name,
    `${found}: ${nodes === 1 ? 'enough for one node' : 'not enough for one node'}`,
    'Raise max_connections, or lower COUNTERSIGN_DATABASE_POOL_SIZE or COUNTERSIGN_WORKERS.',
  )
}

/** Whether code and schema fit each other. */
export function judgeSchema({ applied, pending, unknown }: SchemaState): Check {
  const name = 'migrations'
  if (unknown.length > 0) {
    return failed(
      name,
      `the schema is newer than this version (${unknown.join(', ')})`,
      'Start the version that migrated it, or a later one.',
    )
  }
  if (pending.length > 0) return failed(name, `missing: ${pending.join(', ')}`, 'Run countersign migrate.')
  return ok(name, `${applied.length} applied, none missing`)
}

/** Whether this machine and the database agree on the time. Offsets in milliseconds; `roundTrip` is what it took to ask. */
export function judgeClock(offset: number, roundTrip: number): Check {
  const name = 'clock'
  // The database answered somewhere between question and answer.
  const least = Math.max(0, Math.abs(offset) - roundTrip / 2)
  const found = `${(least / 1000).toFixed(1)} s ${offset > 0 ? 'behind' : 'ahead of'} the database at least`
  const advice = 'Let both machines keep time by NTP.'
  if (least > CLOCK_SKEW_SECONDS * 1000) {
    return failed(
      name,
      found,
      `${advice} Assertions are judged with a leeway of ${CLOCK_SKEW_SECONDS} seconds.`,
    )
  }
  if (least > CLOCK_WARNING_MILLISECONDS) return warning(name, found, advice)
  return ok(name, `within ${Math.ceil(Math.abs(offset) + roundTrip / 2)} ms of the database`)
}

/** Whether there is room for the records of today and tomorrow, and history goes when it should. */
function judgePartitions({ missingNow, missingNext, overdue }: PartitionState): Check {
  const name = 'partitions'
  const start = 'A node makes them at its start and every hour: see that one runs, and what its log says.'
  if (missingNow.length > 0) return failed(name, `missing, now: ${missingNow.join(', ')}`, start)
  if (missingNext.length > 0) return warning(name, `missing, next: ${missingNext.join(', ')}`, start)
  if (overdue.length > 0) {
    return warning(
      name,
      `${count(overdue.length, 'partition')} should have been dropped, ${overdue[0]} the oldest`,
      'A backup or a long query that reads them is waited for. Else see what the log of a node says.',
    )
  }
  return ok(name, 'of now and next are there, none overlong')
}

/** The facts of the server, and the check of the clock, which they were read with. `now` in milliseconds. */
export async function inspectServer(
  db: Db,
  clock: () => number,
): Promise<{ facts: ServerFacts; clock: Check }> {
  // The first one may make the connection: only the second is timed.
  await readServerFacts(db)
  const before = clock()
  const facts = await readServerFacts(db)
  const after = clock()
  return { facts, clock: judgeClock(facts.now - (before + after) / 2, after - before) }
}

/** Reads and judges the partitions. `now` in milliseconds. */
export async function checkPartitions(db: Db, now: number, retention: Retention): Promise<Check> {
  return judgePartitions(await inspectPartitions(db, now, retention))
}
