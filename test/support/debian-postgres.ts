import { execFileSync, spawn } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** A PostgreSQL of the system, with its own tools: server and `pg_dump` of one version. */
export type SystemPostgres = {
  version: number
  urlOf(database: string): string
  createDatabase(name: string): Promise<void>
  /** Runs one of its tools on a database; `-f FILE` and the like stand in `args`. */
  run(tool: 'pg_dump' | 'pg_restore', database: string, args: readonly string[]): void
  stop(): Promise<void>
}

const NEEDED = ['initdb', 'postgres', 'pg_dump', 'pg_restore']

/** The folder of the newest complete PostgreSQL of the system, as Debian installs them; undefined where there is none. */
export function findSystemPostgres(): string | undefined {
  const found = globSync('/usr/lib/postgresql/*/bin')
    .filter((folder) => NEEDED.every((tool) => existsSync(join(folder, tool))))
    .sort()
    .at(-1)
  if (found === undefined)
    console.warn('skipped: there is no /usr/lib/postgresql/*/bin with server and pg_dump')
  return found
}

/** Starts one on a fresh folder, on a Unix socket there. */
export async function startSystemPostgres(bin: string): Promise<SystemPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-system-pg-'))
  const user = process.getuid?.() === 0 ? unprivileged() : undefined
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  const options = {
    ...user,
    cwd: folder,
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    stdio: 'pipe',
  } as const
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'countersign', '--no-sync', '--auth=trust'], options)
  const server = spawn(
    join(bin, 'postgres'),
    ['-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off'],
    { ...options, stdio: 'ignore' },
  )
  const urlOf = (database: string) =>
    `postgresql:///${database}?host=${encodeURIComponent(folder)}&port=5432&user=countersign`
  const version = await waitFor(urlOf('postgres'))
  return {
    version,
    urlOf,
    async createDatabase(name) {
      const client = new pg.Client(urlOf('postgres'))
      await client.connect()
      await client.query(`create database ${name}`)
      await client.end()
    },
    run(tool, database, args) {
      const connection = ['-h', folder, '-U', 'countersign', '-d', database]
      execFileSync(join(bin, tool), [...connection, ...args], { stdio: 'pipe' })
    },
    async stop() {
      const ended = new Promise((resolve) => server.once('exit', resolve))
      server.kill('SIGINT')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** PostgreSQL refuses to run as root. */
function unprivileged(): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function waitFor(url: string): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const client = new pg.Client(url)
    try {
      await client.connect()
      const { rows } = await client.query(`select current_setting('server_version_num')::int as version`)
      return rows[0].version
    } catch (error) {
      if (attempt === 200) throw error
      await sleep(100)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}
