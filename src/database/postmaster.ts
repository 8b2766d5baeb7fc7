import { type ChildProcess, spawn } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { codeOf, OperatorError } from '../errors.ts'
import { type Cluster, commandLine, SOCKET_PORT } from './cluster.ts'
import { CLUSTER_NAME } from './new-cluster.ts'
import { BINARY_ENVIRONMENT, runBinary, unrunnable } from './postgres-binaries.ts'
import { openLog, type PostgresLog, readCulprit } from './postgres-log.ts'
import { isDead, readCommandLine } from './process-status.ts'

/** The database that exists in every cluster, for what concerns the whole of it. */
export const MAINTENANCE_DATABASE = 'postgres'

const POLL_MS = 25
const CONNECT_TIMEOUT_MS = 5_000
// A PostgreSQL that lets nobody in for so long serves nobody.
const UNREACHABLE_PATIENCE_MS = 60_000
// Recovery after a crash replays what was written since the last checkpoint: minutes at worst.
const START_PATIENCE_MS = 600_000
const TELL_OF_WAITING_AFTER_MS = 3_000
const STOP_PATIENCE_SECONDS = 60

/**
 * Connects to the PostgreSQL that already runs on the data folder, waiting while it starts or shuts down.
 * Answers undefined when none runs, or when the one that did let nobody in and was stopped.
 */
export async function findPostgres(cluster: Cluster): Promise<pg.Client | undefined> {
  const deadline = performance.now() + UNREACHABLE_PATIENCE_MS
  for (;;) {
    const pidFile = await readPidFile(cluster.dataDir)
    if (!pidFile) return undefined
    const answer = await connect(pidFile.socketFolder ?? cluster.socketFolder)
    if (answer instanceof pg.Client) return answer
    if (answer === 'nobody' && !(await isPostmaster(pidFile.pid, cluster.dataDir))) {
      // PostgreSQL itself clears away the files of a dead one, but not when its process id has a new bearer.
      if (!isDead(pidFile.pid)) await removeLockFiles(cluster)
      return undefined
    }
    if (performance.now() > deadline) {
      await stopPostgres(cluster)
      return undefined
    }
    await sleep(POLL_MS)
  }
}

/**
 * Starts PostgreSQL and connects to it. Answers undefined when it gave way to another one, which is starting
 * or whose last processes are just ending. Throws an OperatorError with what PostgreSQL complained of.
 */
export async function startPostgres(
  cluster: Cluster,
  log: (line: string) => void,
): Promise<pg.Client | undefined> {
  const postgresLog = await openLog(cluster.dataDir, cluster.owner)
  try {
    const ending = watchEnd(spawnPostgres(cluster, postgresLog))
    const client = await connectBefore(ending.signal, cluster, log)
    if (client) return client
    if (ending.signal.reason instanceof OperatorError) throw ending.signal.reason
    const complaint = await readCulprit(postgresLog)
    if (/lock file .* already exists|shared memory block .* still in use/.test(complaint)) return undefined
    throw new OperatorError(
      `PostgreSQL does not start on ${cluster.dataDir}: ${complaint} (its log is ${postgresLog.path})`,
    )
  } finally {
    await postgresLog.handle.close()
  }
}

/** Stops the PostgreSQL of the folder: at once, but in order; its clients are disconnected. Harmless when none runs. */
export async function stopPostgres({ binaries, dataDir, owner }: Cluster): Promise<void> {
  for (const mode of ['fast', 'immediate']) {
    const pidFile = await readPidFile(dataDir)
    if (!pidFile || !(await isPostmaster(pidFile.pid, dataDir))) return
    const args = ['stop', '-D', dataDir, '-m', mode, '-w', '-t', String(STOP_PATIENCE_SECONDS)]
    const { code } = await runBinary(binaries.pgCtl, args, owner)
    if (code === 0) return
  }
  const pidFile = await readPidFile(dataDir)
  if (!pidFile || !(await isPostmaster(pidFile.pid, dataDir))) return
  throw new OperatorError(
    `The PostgreSQL on ${dataDir} (process ${pidFile.pid}) does not stop: end it, then start Countersign again.`,
  )
}

function spawnPostgres(cluster: Cluster, { handle }: PostgresLog): ChildProcess {
  const child = spawn(cluster.binaries.postgres, commandLine(cluster), {
    cwd: '/',
    env: BINARY_ENVIRONMENT,
    stdio: ['ignore', handle.fd, handle.fd],
    // A session of its own: Ctrl-C in the terminal reaches the server, which drains, but not its database.
    detached: true,
    ...cluster.owner,
  })
  child.unref()
  return child
}

/** Aborts when the process ends, with an OperatorError as the reason when it could not even begin. */
function watchEnd(child: ChildProcess): AbortController {
  const ending = new AbortController()
  child.once('exit', () => ending.abort())
  child.once('error', (cause) => ending.abort(unrunnable(child.spawnfile, cause)))
  return ending
}

async function connectBefore(
  end: AbortSignal,
  cluster: Cluster,
  log: (line: string) => void,
): Promise<pg.Client | undefined> {
  const begin = performance.now()
  let isTold = false
  while (!end.aborted && performance.now() - begin < START_PATIENCE_MS) {
    const answer = await connect(cluster.socketFolder)
    if (answer instanceof pg.Client) return answer
    if (!isTold && performance.now() - begin > TELL_OF_WAITING_AFTER_MS) {
      log('PostgreSQL takes its time to start: it is recovering its data.')
      isTold = true
    }
    await sleep(POLL_MS)
  }
  return undefined
}

/** A connection to the maintenance database, or why there is none: nobody listens, or nobody is let in yet. */
async function connect(socketFolder: string): Promise<pg.Client | 'nobody' | 'not yet'> {
  const client = new pg.Client({
    host: socketFolder,
    port: SOCKET_PORT,
    user: CLUSTER_NAME,
    database: MAINTENANCE_DATABASE,
    ssl: false,
    application_name: 'countersign-lock',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  })
  // A connection that is lost later must not bring the process down; its 'end' is what is listened to.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    return judgeRefusal(error)
  }
}

function judgeRefusal(error: unknown): 'nobody' | 'not yet' {
  const isOfServer = error instanceof pg.DatabaseError
  // 57P03 cannot_connect_now: it starts, recovers or shuts down.
  if (isOfServer && !error.code?.startsWith('57P')) {
    throw new OperatorError(`The embedded PostgreSQL refuses a connection: ${error.message}.`, {
      cause: error,
    })
  }
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ECONNREFUSED' ? 'nobody' : 'not yet'
}

type PidFile = { pid: number; socketFolder: string | undefined }

/** `postmaster.pid`: the process on line 1, the folder of its socket on line 5 once it listens. */
async function readPidFile(dataDir: string): Promise<PidFile | undefined> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const lines = text.split('\n')
  return { pid: Number.parseInt(lines[0] ?? '', 10), socketFolder: lines[4] || undefined }
}

/** Process ids are given anew, in a container after every start: only the command line tells. */
async function isPostmaster(pid: number, dataDir: string): Promise<boolean> {
  return (await readCommandLine(pid)).includes(` -D ${dataDir} `)
}

async function removeLockFiles({ dataDir, socketFolder }: Cluster): Promise<void> {
  await rm(join(dataDir, 'postmaster.pid'), { force: true })
  await rm(join(socketFolder, `.s.PGSQL.${SOCKET_PORT}.lock`), { force: true })
}
