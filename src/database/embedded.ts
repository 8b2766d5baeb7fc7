import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { codeOf, messageOf, OperatorError } from '../errors.ts'
import { type Cluster, clusterSettings, openSocketFolder, SOCKET_PORT, wasStartedAlike } from './cluster.ts'
import { openDataFolder } from './data-folder.ts'
import { CLUSTER_NAME, createCluster } from './new-cluster.ts'
import { findBinaries } from './postgres-binaries.ts'
import { findPostgres, startPostgres, stopPostgres } from './postmaster.ts'

/** A PostgreSQL of our own that runs and is ours alone, until `stop`. */
export type EmbeddedPostgres = {
  /** How to connect: `host` is the folder of its Unix socket, made private by its mode. */
  connection: { host: string; port: number; user: string; database: string }
  /** The real path of the data folder. */
  dataDir: string
  /** Whether it was still running, left behind by a server that was killed. */
  adopted: boolean
  /** Whether a server runs on it: with `beside` only. */
  served: boolean
  /** Shuts PostgreSQL down in order, unless a server runs on it. Resolves also when it is gone already. */
  stop(): Promise<void>
}

export type EmbeddedOptions = {
  /** Undefined is `./data`. */
  dataDir: string | undefined
  /** For a command that works beside a server: where one runs, its PostgreSQL is used, and left to it. */
  beside?: boolean
  /** Told what the operator should know, a line at a time. */
  log: (line: string) => void
  /** Further PostgreSQL settings, by name. */
  extraSettings?: Readonly<Record<string, string>>
}

// Any constant does: nobody else takes advisory locks in the maintenance database of a cluster of ours.
const SERVER_LOCK = 0x636f756e
// The connection of a server that was just killed takes a moment to die.
const LOCK_PATIENCE_MS = 2_000
const LOCK_POLL_MS = 100
// Another PostgreSQL on the folder may be starting, or its last processes ending.
const TAKE_OVER_PATIENCE_MS = 15_000
const RETRY_MS = 200
const FIRST_REVIVAL_PAUSE_MS = 500
const LONGEST_REVIVAL_PAUSE_MS = 30_000

/**
 * Runs a PostgreSQL on the data folder, which is created when new; one that a killed server has left running
 * is adopted, or restarted when its settings differ. At most one server holds a folder at a time; only commands
 * may work beside it. Throws an OperatorError for whatever the operator must mend.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  try {
    return await start(options)
  } catch (cause) {
    // What the operating system or PostgreSQL refuses is for the operator to mend; the rest would be bugs.
    if (cause instanceof OperatorError || codeOf(cause) === undefined) throw cause
    throw new OperatorError(
      `The data folder ${resolve(options.dataDir ?? 'data')} cannot be used (${messageOf(cause)}): correct that,` +
        ' or choose another folder with --data-dir or COUNTERSIGN_DATA_DIR.',
      { cause },
    )
  }
}

async function start(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { log, extraSettings = {} } = options
  const binaries = await findBinaries()
  const folder = await openDataFolder(options.dataDir, binaries)
  const { path: dataDir, owner } = folder
  if (folder.isNew) {
    log(`Creating a PostgreSQL database in ${dataDir}.`)
    await createCluster(folder, binaries, { sync: extraSettings.fsync !== 'off' })
  }
  const socketFolder = await openSocketFolder(dataDir, owner)
  const settings = clusterSettings(socketFolder, extraSettings)
  const cluster = { binaries, dataDir, owner, socketFolder, settings }
  const connection = { host: socketFolder, port: SOCKET_PORT, user: CLUSTER_NAME, database: CLUSTER_NAME }
  if (options.beside && (await isServed(cluster))) {
    return { connection, dataDir, adopted: false, served: true, stop: async () => {} }
  }
  const { lock, adopted } = await takeOver(cluster, log)
  if (adopted) log(`Took over the PostgreSQL that was still running on ${dataDir}.`)
  const stop = keepAlive(cluster, lock, log)
  try {
    await ensureDatabase(lock)
  } catch (error) {
    await stop()
    throw error
  }
  return { connection, dataDir, adopted, served: false, stop }
}

/** Whether somebody holds the lock at this moment. */
async function isServed(cluster: Cluster): Promise<boolean> {
  const client = await findPostgres(cluster)
  if (client === undefined) return false
  try {
    const { rows } = await client.query('select pg_try_advisory_lock($1) as taken', [SERVER_LOCK])
    return !rows[0].taken
  } finally {
    await client.end()
  }
}

/** Finds or starts PostgreSQL and takes the lock on it, which lasts as long as the connection answered. */
async function takeOver(
  cluster: Cluster,
  log: (line: string) => void,
): Promise<{ lock: pg.Client; adopted: boolean }> {
  const deadline = performance.now() + TAKE_OVER_PATIENCE_MS
  while (performance.now() < deadline) {
    const found = await findPostgres(cluster)
    const lock = found ?? (await startPostgres(cluster, log))
    const outcome = lock ? await takeLock(lock) : 'gone'
    if (lock && outcome === 'taken') {
      if (!found || (await wasStartedAlike(cluster))) return { lock, adopted: found !== undefined }
      await stopPostgres(cluster)
    }
    await lock?.end()
    if (outcome === 'held') throw inUse(cluster.dataDir)
    if (outcome === 'gone') await sleep(RETRY_MS)
  }
  throw new OperatorError(
    `PostgreSQL does not stay up on ${cluster.dataDir}: see ${cluster.dataDir}/postgres.log, or end what else uses it.`,
  )
}

/** `gone`: PostgreSQL shut down meanwhile. */
async function takeLock(client: pg.Client): Promise<'taken' | 'held' | 'gone'> {
  const deadline = performance.now() + LOCK_PATIENCE_MS
  try {
    for (;;) {
      const { rows } = await client.query('select pg_try_advisory_lock($1) as taken', [SERVER_LOCK])
      if (rows[0].taken) return 'taken'
      if (performance.now() > deadline) return 'held'
      await sleep(LOCK_POLL_MS)
    }
  } catch {
    return 'gone'
  }
}

function inUse(dataDir: string): OperatorError {
  return new OperatorError(
    `The data folder ${dataDir} is in use by another Countersign server: stop that one, or choose another folder` +
      ' with --data-dir or COUNTERSIGN_DATA_DIR.',
  )
}

/** Not by initdb: a kill between the two would leave a cluster without it. */
async function ensureDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [CLUSTER_NAME])
  if (rowCount === 0) await client.query(`create database ${CLUSTER_NAME}`)
}

/**
 * Watches over PostgreSQL through the connection that holds the lock: when that is lost, PostgreSQL is found
 * or started again, so that the server recovers without a restart. Answers the function that ends it all.
 */
function keepAlive(cluster: Cluster, first: pg.Client, log: (line: string) => void): () => Promise<void> {
  const stopping = new AbortController()
  let lock = first
  let stopped: Promise<void> | undefined
  let revival: Promise<void> | undefined

  const watch = (client: pg.Client) => {
    lock = client
    client.once('end', () => {
      if (!stopping.signal.aborted) revival = revive()
    })
  }
  const revive = async () => {
    log('The embedded PostgreSQL is gone: starting it again.')
    for (let pauseMs = FIRST_REVIVAL_PAUSE_MS; !stopping.signal.aborted; pauseMs *= 2) {
      try {
        const held = await takeOver(cluster, log)
        return watch(held.lock)
      } catch (error) {
        log(messageOf(error))
        const pause = sleep(Math.min(pauseMs, LONGEST_REVIVAL_PAUSE_MS), undefined, {
          signal: stopping.signal,
        })
        await pause.catch(() => 'stopping')
      }
    }
  }
  const stop = async () => {
    stopping.abort()
    // The lock is kept to the end: nobody takes over a PostgreSQL that is about to stop.
    await stopPostgres(cluster)
    await revival
    // A revival under way may have started it once more.
    await stopPostgres(cluster)
    await lock.end()
  }

  watch(first)
  return () => {
    stopped ??= stop()
    return stopped
  }
}
