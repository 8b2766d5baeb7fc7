import { execFile } from 'node:child_process'
import { appendFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { type Cluster, clusterSettings, openSocketFolder, SOCKET_PORT } from '../../src/database/cluster.ts'
import { openDataFolder } from '../../src/database/data-folder.ts'
import { CLUSTER_NAME, createCluster } from '../../src/database/new-cluster.ts'
import { type Binaries, findBinaries, runBinary } from '../../src/database/postgres-binaries.ts'
import { startPostgres, stopPostgres } from '../../src/database/postmaster.ts'

/** A PostgreSQL server that a test may kill, pause and promote: nobody revives it but the test. */
export type PostgresServer = {
  /** The folder of its socket. */
  host: string
  /** `DATABASE_URL` of it, or of it and others, of which one takes writes. */
  url(...others: PostgresServer[]): string
  query(text: string): Promise<pg.QueryResult>
  start(): Promise<void>
  /** `fast` ends sessions and writes everything down; `immediate` is a crash that is announced. */
  stop(mode: 'fast' | 'immediate'): Promise<void>
  /** `kill -9` of the postmaster and of everything that it started. */
  kill(): Promise<void>
  /** SIGSTOP for all of it: connections stay, nobody answers. Answers the function that lets it go on. */
  pause(): Promise<() => void>
  /** A streaming standby of it, made while it is stopped; both run afterwards. */
  createStandby(): Promise<PostgresServer>
  /** Ends being a standby; resolves when it takes writes. */
  promote(): Promise<void>
  close(): Promise<void>
}

const PATIENCE_MILLISECONDS = 30_000

/** Makes and starts a server on a folder of its own. `settings` are PostgreSQL's, by name. */
export async function startPostgresServer(settings: Record<string, string> = {}): Promise<PostgresServer> {
  const binaries = await findBinaries()
  const folder = await openDataFolder(await mkdtemp(join(tmpdir(), 'countersign-postgres-')), binaries)
  await createCluster(folder, binaries, { sync: false })
  const server = await createServer(folder, binaries, settings)
  await server.start()
  await server.query(`create database ${CLUSTER_NAME}`).catch(() => undefined)
  return server
}

async function createServer(
  { path, owner }: { path: string; owner: Cluster['owner'] },
  binaries: Binaries,
  settings: Record<string, string>,
): Promise<PostgresServer> {
  const host = await openSocketFolder(path, owner)
  const cluster: Cluster = {
    binaries,
    dataDir: path,
    owner,
    socketFolder: host,
    settings: clusterSettings(host, settings),
  }
  const readPid = async () => Number((await readFile(join(path, 'postmaster.pid'), 'utf8')).split('\n')[0])
  const query = async (text: string) => {
    const client = new pg.Client({ host, port: SOCKET_PORT, user: CLUSTER_NAME, database: 'postgres' })
    client.on('error', () => undefined)
    await client.connect()
    try {
      return await client.query(text)
    } finally {
      await client.end()
    }
  }
  const start = async () => {
    const giveUpAt = performance.now() + PATIENCE_MILLISECONDS
    for (;;) {
      // The last processes of one that was killed may still hold its memory.
      const client = await startPostgres(cluster, () => undefined)
      if (client !== undefined) return client.end()
      if (performance.now() > giveUpAt) throw new Error('PostgreSQL does not start again')
      await sleep(50)
    }
  }
  const stop = async (mode: string) => {
    await runBinary(binaries.pgCtl, ['stop', '-D', path, '-m', mode, '-w'], owner)
  }
  return {
    host,
    url: (...others) => {
      const hosts = [host, ...others.map((other) => other.host)].join(',')
      const parameters = new URLSearchParams({ host: hosts, port: String(SOCKET_PORT), user: CLUSTER_NAME })
      if (others.length > 0) parameters.set('target_session_attrs', 'read-write')
      return `postgresql:///${CLUSTER_NAME}?${parameters}`
    },
    query,
    start,
    stop,
    async kill() {
      signal(await familyOf(await readPid()), 'SIGKILL')
    },
    async pause() {
      const family = await familyOf(await readPid())
      signal(family, 'SIGSTOP')
      return () => signal(family, 'SIGCONT')
    },
    async createStandby() {
      const copy = await mkdtemp(join(tmpdir(), 'countersign-standby-'))
      await stop('fast')
      await cp(path, copy, {
        recursive: true,
        filter: (source) => !/\.s\.PGSQL|postmaster\.pid/.test(source),
      })
      await start()
      await appendFile(
        join(copy, 'postgresql.auto.conf'),
        `primary_conninfo = 'host=${host} port=${SOCKET_PORT} user=${CLUSTER_NAME} application_name=standby'\n`,
      )
      await writeFile(join(copy, 'standby.signal'), '')
      if (owner) await promisify(execFile)('chown', ['-R', `${owner.uid}:${owner.gid}`, copy])
      await promisify(execFile)('chmod', ['700', copy])
      const standby = await createServer({ path: copy, owner }, binaries, settings)
      await standby.start()
      return standby
    },
    async promote() {
      await query('select pg_promote(true)')
    },
    async close() {
      await stopPostgres(cluster)
      await rm(path, { recursive: true, force: true })
    },
  }
}

/** The process and its descendants. */
async function familyOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  const pairs = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number])
  const family = [pid]
  for (const member of family)
    family.push(...pairs.filter(([, parent]) => parent === member).map(([child]) => child))
  return family
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // It has just ended by itself.
    }
  }
}
