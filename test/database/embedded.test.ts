import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import { type EmbeddedPostgres, startEmbedded } from '../../src/database/embedded.ts'
import { findBinaries } from '../../src/database/postgres-binaries.ts'
import { readCommandLine } from '../../src/database/process-status.ts'
import { OperatorError } from '../../src/errors.ts'

const AS_ROOT = process.getuid?.() === 0
const ORDINARY_USER = AS_ROOT ? { uid: 65534, gid: 65534 } : {}
const SCRIPT = join(import.meta.dirname, '../support/embedded-process.ts')
const FAST = { fsync: 'off' }

jest.setTimeout(30_000)

let base: string
let shared: string
const running: EmbeddedPostgres[] = []
const processes: ChildProcess[] = []

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'countersign-embedded-'))
  await chmod(base, 0o755)
  shared = join(base, 'shared')
})

afterEach(async () => {
  for (const child of processes.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  await Promise.all(running.splice(0).map((embedded) => embedded.stop()))
})

afterAll(() => rm(base, { recursive: true, force: true }))

describe('a data folder of its own', () => {
  test('a first start creates a database reached by a private socket only, in UTF-8, sorted alike everywhere', async () => {
    const embedded = await start(shared)
    expect(embedded.adopted).toBe(false)
    expect((await stat(embedded.connection.host)).mode & 0o777).toBe(0o700)
    const [facts] = await query(
      embedded,
      `select current_setting('listen_addresses') as tcp, current_setting('server_encoding') as encoding,
              datlocprovider as provider, datlocale as locale, current_user as user
         from pg_database where datname = current_database()`,
    )
    expect(facts).toEqual({
      tcp: '',
      encoding: 'UTF8',
      provider: 'b',
      locale: 'C.UTF-8',
      user: 'countersign',
    })
    await query(embedded, 'create table kept (what text)')
  })

  test('a second start finds the data of the first', async () => {
    const embedded = await start(shared)
    expect(await query(embedded, 'select * from kept')).toEqual([])
    expect(embedded.adopted).toBe(false)
  })

  test('a second server on the folder is refused while the first runs, which goes on', async () => {
    const embedded = await start(shared)
    const refusal = await refusalOf(shared)
    expect(refusal).toMatch(
      /^The data folder .*shared is in use by another Countersign server: stop that one/,
    )
    expect(await query(embedded, 'select 1 as alive')).toEqual([{ alive: 1 }])
  })

  test('after a kill -9 of the server and its process group, PostgreSQL is adopted with everything committed', async () => {
    const owner = await startProcess([shared])
    const { postmaster } = await facts(shared)
    await query(owner.embedded, `insert into kept values ('before the kill')`)
    process.kill(-owner.child.pid!, 'SIGKILL')
    const next = await start(shared)
    expect(next.adopted).toBe(true)
    expect((await facts(shared)).postmaster).toBe(postmaster)
    expect(await query(next, 'select * from kept')).toEqual([{ what: 'before the kill' }])
    await next.stop()
    await eventually(async () => expect(await readCommandLine(postmaster)).toBe(''))
  })

  test('an orphaned PostgreSQL with other settings is not adopted but restarted', async () => {
    const owner = await startProcess([shared])
    process.kill(-owner.child.pid!, 'SIGKILL')
    const next = await start(shared, { ...FAST, work_mem: '5MB' })
    expect(next.adopted).toBe(false)
    expect(await query(next, 'show work_mem')).toEqual([{ work_mem: '5MB' }])
  })

  test('after a kill -9 of server and PostgreSQL together, the next start recovers', async () => {
    const owner = await startProcess([shared])
    const { postmaster } = await facts(shared)
    process.kill(-owner.child.pid!, 'SIGKILL')
    process.kill(postmaster, 'SIGKILL')
    const next = await start(shared)
    expect(next.adopted).toBe(false)
    expect(await query(next, 'select * from kept')).toHaveLength(1)
  })

  test('a process id in the lock files that meanwhile belongs to someone else does not block the start', async () => {
    const stale = [process.pid, shared, 1, 5432, shared, '', '', 'ready', ''].join('\n')
    await writeFile(join(shared, 'postmaster.pid'), stale)
    await writeFile(join(shared, '.s.PGSQL.5432.lock'), stale)
    expect((await start(shared)).adopted).toBe(false)
  })

  test('a PostgreSQL that is killed under its server is started again by it', async () => {
    const embedded = await start(shared)
    const { postmaster } = await facts(shared)
    process.kill(postmaster, 'SIGKILL')
    await eventually(async () => expect(await query(embedded, 'select 1 as alive')).toEqual([{ alive: 1 }]))
    const locks = `select count(*)::int from pg_locks where locktype = 'advisory'`
    await eventually(async () => expect(await query(embedded, locks)).toEqual([{ count: 1 }]))
  })

  test('stopping resolves when PostgreSQL is gone already, and when asked twice', async () => {
    const embedded = await start(shared)
    process.kill((await facts(shared)).postmaster, 'SIGKILL')
    await Promise.all([embedded.stop(), embedded.stop()])
    await embedded.stop()
  })

  test('a folder moved to a path too long for a socket gets a private socket folder in /tmp', async () => {
    const folder = join(base, 'long'.repeat(30), "it's, a folder")
    await mkdir(join(base, 'long'.repeat(30)))
    await rename(shared, folder)
    const embedded = await start(folder)
    const socketFolder = embedded.connection.host
    expect(socketFolder).toMatch(/^\/tmp\/countersign-[0-9a-f]{16}$/)
    expect((await stat(socketFolder)).mode & 0o777).toBe(0o700)
    expect(await query(embedded, 'select * from kept')).toHaveLength(1)
    await embedded.stop()
    await rm(socketFolder, { recursive: true })
    await rename(folder, shared)
  })

  test('a PostgreSQL that does not start is quoted in one line that names its log', async () => {
    const refusal = await refusalOf(shared, { shared_preload_libraries: 'no-such-library' })
    expect(refusal).toMatch(
      /^PostgreSQL does not start on .*shared: .*no-such-library.*\(its log is .*postgres\.log\)$/,
    )
  })
})

describe('creating a database', () => {
  test('killed in the middle, it is begun anew by the next start', async () => {
    const folder = join(base, 'interrupted')
    const child = spawnScript([folder])
    await eventually(async () => expect((await readdir(folder)).join()).toContain('initdb-'), 5)
    process.kill(-child.pid!, 'SIGKILL')
    expect(await readFile(join(folder, 'countersign.state'), 'utf8')).toMatch(/^creating /)
    const next = await start(folder)
    expect(await query(next, 'select 1 as alive')).toEqual([{ alive: 1 }])
    expect((await readdir(folder)).filter((name) => name.startsWith('initdb-'))).toEqual([])
  })

  test('of two servers that start on one new folder in the same moment, one gets it', async () => {
    const folder = join(base, 'contended')
    const outcomes = await Promise.all([readReport(spawnScript([folder])), readReport(spawnScript([folder]))])
    const refusals = outcomes.filter((outcome) => 'refused' in outcome)
    expect(refusals).toEqual([{ refused: expect.stringContaining('in use by another Countersign server') }])
  })

  test('as root, ./data is a link to where the unprivileged user of the database can go', async () => {
    if (!AS_ROOT) return console.log('skipped: not root')
    const { child, embedded } = await startProcess([], { cwd: await makeFolder('checkout', 0) })
    const target = await readlink(join(base, 'checkout/data'))
    expect(embedded.dataDir).toBe(target)
    expect(target).toMatch(/^\/var\/lib\/countersign\/data-/)
    expect((await stat(target)).uid).not.toBe(0)
    child.kill('SIGTERM')
    await once(child, 'exit')
    await rm(target, { recursive: true })
    const refused = await readReport(spawnScript([], { cwd: join(base, 'checkout') }))
    expect(refused).toEqual({
      refused: expect.stringMatching(/data points to .*, which does not exist: bring/),
    })
  })

  test('as an ordinary user, ./data is a folder', async () => {
    const cwd = await makeFolder('home', ORDINARY_USER.uid)
    if (AS_ROOT && !(await mayRun(ORDINARY_USER.uid)))
      return console.log('skipped: this checkout is closed to others')
    const { embedded } = await startProcess([], { cwd, ...ORDINARY_USER })
    expect(embedded.dataDir).toBe(join(cwd, 'data'))
    expect((await stat(embedded.dataDir)).mode & 0o777).toBe(0o700)
  })
})

describe('a folder that cannot be used is refused in one line, and left as it is', () => {
  test.each([
    [
      'files of someone else',
      { 'thesis.txt': 'mine' },
      /"thesis.txt" is in it.* choose another folder with --data-dir/,
    ],
    [
      'another major version',
      { PG_VERSION: '17\n', base: '' },
      /made by PostgreSQL "17".*brings PostgreSQL 18/,
    ],
    ['a PostgreSQL that is not ours', { PG_VERSION: '18\n', base: '' }, /is no database of Countersign/],
  ])('%s', async (name, files, message) => {
    const folder = await makeFolder(name, process.getuid?.())
    for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text)
    expect(await refusalOf(folder)).toMatch(message)
    expect((await readdir(folder)).sort()).toEqual(Object.keys(files).sort())
  })

  test('a file in its place', async () => {
    const file = join(base, 'file')
    await writeFile(file, '')
    expect(await refusalOf(file)).toMatch(/file is not a folder: delete it, or choose another/)
    expect(await refusalOf(join(file, 'below'))).toMatch(/below cannot be used .*choose another/)
  })

  test('a folder of another user', async () => {
    if (!AS_ROOT) return console.log('skipped: not root, who alone can make such a folder')
    const folder = await makeFolder("root's", 0)
    const refused = await readReport(spawnScript([folder], ORDINARY_USER))
    expect(refused).toEqual({ refused: expect.stringMatching(/belongs to another user \(uid 0\): start/) })
  })

  test('a folder that the user of the database cannot enter', async () => {
    if (!AS_ROOT) return console.log('skipped: not root, as whom alone the database runs as someone else')
    const closed = await makeFolder('closed', 0)
    await chmod(closed, 0o700)
    expect(await refusalOf(join(closed, 'data'))).toMatch(
      /does not run as root .* cannot enter .*closed: choose/,
    )
    expect(await readdir(closed)).toEqual([])
  })

  test('a platform without binaries is told of DATABASE_URL', async () => {
    const { arch } = process
    Object.defineProperty(process, 'arch', { value: 'pdp11' })
    try {
      await expect(findBinaries()).rejects.toThrow(
        /no embedded PostgreSQL for .*-pdp11 here: set DATABASE_URL/,
      )
    } finally {
      Object.defineProperty(process, 'arch', { value: arch })
    }
  })
})

async function start(
  dataDir: string,
  extraSettings: Record<string, string> = FAST,
): Promise<EmbeddedPostgres> {
  const embedded = await startEmbedded({ dataDir, log: () => {}, extraSettings })
  running.push(embedded)
  return embedded
}

/** The message of the OperatorError that a start is refused with. */
async function refusalOf(dataDir: string, extraSettings: Record<string, string> = FAST): Promise<string> {
  const refusal = await start(dataDir, extraSettings).catch((error) => error)
  expect(refusal).toBeInstanceOf(OperatorError)
  expect(refusal.message).not.toContain('\n')
  return refusal.message
}

/** In a process group of its own, as under a shell. */
function spawnScript(
  args: string[],
  options: { cwd?: string; uid?: number; gid?: number } = {},
): ChildProcess {
  const child = spawn(process.execPath, [SCRIPT, ...args], {
    ...options,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  processes.push(child)
  return child
}

async function readReport(child: ChildProcess): Promise<EmbeddedPostgres | { refused: string }> {
  for await (const line of createInterface(child.stdout!)) return JSON.parse(line)
  throw new Error('the process said nothing')
}

async function startProcess(
  args: string[],
  options = {},
): Promise<{ child: ChildProcess; embedded: EmbeddedPostgres }> {
  const child = spawnScript(args, options)
  const report = await readReport(child)
  if ('refused' in report) throw new Error(report.refused)
  return { child, embedded: report }
}

async function mayRun(uid: number | undefined): Promise<boolean> {
  const [code] = await once(spawn(process.execPath, ['--check', SCRIPT], { uid, cwd: '/' }), 'exit').catch(
    () => [1],
  )
  return code === 0
}

async function makeFolder(name: string, uid = 0): Promise<string> {
  const folder = join(base, name)
  await mkdir(folder)
  if (AS_ROOT) await chown(folder, uid, uid)
  return folder
}

async function query(embedded: EmbeddedPostgres, sql: string): Promise<unknown[]> {
  const client = new pg.Client(embedded.connection)
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

async function facts(dataDir: string): Promise<{ postmaster: number }> {
  return { postmaster: Number.parseInt(await readFile(join(dataDir, 'postmaster.pid'), 'utf8'), 10) }
}

/** Repeats a check until it holds, for ten seconds at most. */
async function eventually(check: () => Promise<void>, pauseMs = 50): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(pauseMs)
    }
  }
}
