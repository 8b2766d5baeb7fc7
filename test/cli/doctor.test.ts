import { chmod, mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Check } from '../../src/cli/checks/check.ts'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { preparePartitions } from '../../src/database/partitions.ts'
import { ensureInstallation } from '../../src/directory/installation.ts'
import { maintainSigningKeys } from '../../src/directory/signing-keys.ts'
import {
  findFreePort,
  makeFolder,
  type Outcome,
  runCommand,
  type ServerProcess,
  startProcess,
  urlOf,
} from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createTestClock } from '../support/test-clock.ts'

/** The verdicts of `doctor --json` by the name of the check. */
function readVerdicts({ stdout }: Outcome): Record<string, Check> {
  const report = JSON.parse(stdout)
  return Object.fromEntries(report.checks.map((check: Check) => [check.name, check]))
}

// What the shell of the tests allows is not the installation's doing.
const exceptMemory = (checks: Record<string, Check>) =>
  Object.values(checks)
    .filter(({ name }) => name !== 'process memory')
    .map(({ name, verdict }) => `${name}: ${verdict}`)

describe('an installation with the embedded database', () => {
  let folder: string
  let server: ServerProcess
  let env: Record<string, string>
  const examine = (...args: string[]) =>
    runCommand(['doctor', '--json', '--data-dir', 'data', ...args], { cwd: folder, env })

  beforeAll(async () => {
    folder = await makeFolder()
    const metricsPort = await findFreePort()
    env = { COUNTERSIGN_METRICS_PORT: String(metricsPort) }
    server = await startProcess({ cwd: folder, env, args: ['--data-dir', 'data'] })
    env.COUNTERSIGN_PORT = new URL(server.issuer).port
  })
  afterAll(async () => {
    await server.end('SIGTERM')
    await rm(folder, { recursive: true, force: true })
  })

  test('that is well gets a good verdict in every line, while it runs', async () => {
    await writeFile(join(folder, 'backup.dump'), 'x')
    const outcome = await examine('--backup', 'backup.dump')
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    expect(exceptMemory(readVerdicts(outcome))).toEqual(
      [
        'configuration',
        'keys folder',
        'key-encryption key',
        'database version',
        'database durability',
        'database isolation',
        'database connection',
        'database connections',
        'clock',
        'migrations',
        'partitions',
        'signing keys',
        'stored secrets',
        'issuer TLS',
        'issuer metadata',
        'issuer keys',
        'metrics',
        'backup',
      ].map((name) => `${name}: ok`),
    )
  })

  test('is told to people a line for each thing, and what is wrong with what to do', async () => {
    await chmod(join(folder, 'keys/operator.json'), 0o644)
    const { code, stdout, stderr } = await runCommand(['doctor', '--data-dir', 'data'], { cwd: folder, env })
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'countersign: 1 of 18 checks failed.\n' })
    expect(stdout.trim().split('\n')).toHaveLength(18)
    expect(stdout).toMatch(/^ok {7}migrations {3,}\d+ applied, none missing$/m)
    expect(stdout).toMatch(/^FAILED {3}keys folder {3,}others than .* Run chmod 600 keys\/operator\.json\.$/m)
    expect((await stat(join(folder, 'keys/operator.json'))).mode & 0o777).toBe(0o644)
    await chmod(join(folder, 'keys/operator.json'), 0o600)
  })

  test('whose folder of secrets others can look into, or write into, is told so', async () => {
    await chmod(join(folder, 'keys'), 0o755)
    expect(readVerdicts(await examine())['keys folder']).toMatchObject({ verdict: 'warning' })
    await chmod(join(folder, 'keys'), 0o770)
    expect(readVerdicts(await examine())['keys folder']).toMatchObject({ verdict: 'failed' })
    await chmod(join(folder, 'keys'), 0o700)
  })

  test('that lacks its key-encryption key is told so, and no other one is made', async () => {
    const file = join(folder, 'keys/key-encryption-key')
    await rename(file, `${folder}/elsewhere`)
    const outcome = await examine()
    expect(outcome.code).toBe(1)
    expect(readVerdicts(outcome)['key-encryption key']).toMatchObject({
      verdict: 'failed',
      found: expect.stringContaining('There is no key-encryption key at'),
    })
    expect(await readdir(join(folder, 'keys'))).toEqual(['operator.json'])
    await rename(`${folder}/elsewhere`, file)
  })

  test('whose server is down is told so, and its database is examined all the same', async () => {
    await server.end('SIGTERM')
    const outcome = await examine()
    const checks = readVerdicts(outcome)
    expect(checks.issuer).toMatchObject({ verdict: 'failed', found: expect.stringContaining('ECONNREFUSED') })
    expect(checks.metrics).toMatchObject({ verdict: 'failed' })
    expect(checks.partitions).toMatchObject({ verdict: 'ok' })
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringMatching(/2 of 16 checks failed\.\n$/) })
  })

  test('that was never started is told so, and nothing is made', async () => {
    const fresh = await makeFolder()
    const outcome = await runCommand(['doctor', '--json'], { cwd: fresh })
    expect(readVerdicts(outcome).database).toMatchObject({ verdict: 'failed' })
    expect(readVerdicts(outcome).metrics).toMatchObject({ verdict: 'warning', found: 'off' })
    expect(await readdir(fresh)).toEqual([])
    await rm(fresh, { recursive: true })
  })
})

describe('an installation with a database of its own', () => {
  const [OWN, FORMER] = [Buffer.alloc(32, 7).toString('base64'), Buffer.alloc(32, 9).toString('base64')]
  const issuer = 'https://id.example.test'
  let folder: string
  let database: TestDatabase
  let connection: DatabaseConnection
  const clock = createTestClock()
  const examine = async (changes: Record<string, string> = {}) => {
    const env = {
      DATABASE_URL: urlOf(database),
      // Nobody is there: refused at once.
      COUNTERSIGN_ISSUER: 'http://127.0.0.1:1',
      COUNTERSIGN_KEY_ENCRYPTION_KEY: OWN,
      ...changes,
    }
    return readVerdicts(await runCommand(['doctor', '--json'], { cwd: folder, env }))
  }

  beforeAll(async () => {
    folder = await makeFolder()
    database = await createTestDatabase()
    connection = connectDatabase(database.address, { maxConnections: 4, onIdleError: () => undefined })
  })
  afterAll(async () => {
    await connection.close()
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  })

  test('that no node has run on lacks partitions and signing keys', async () => {
    const checks = await examine()
    expect(checks.partitions).toMatchObject({
      verdict: 'failed',
      found: expect.stringContaining('grant_records_'),
    })
    expect(checks['signing keys']).toMatchObject({ verdict: 'warning', found: 'there are none yet' })
    expect(checks.configuration).toMatchObject({ verdict: 'warning' })
    expect(checks['keys folder']).toMatchObject({ verdict: 'ok' })
  })

  test('that forgets at a power cut, or is reached as a superuser, is told so', async () => {
    // The databases of the tests need not survive one.
    const checks = await examine()
    expect(checks['database durability']).toMatchObject({
      verdict: 'failed',
      found: 'fsync off, full_page_writes off, synchronous_commit on',
    })
    expect(checks['database connection']).toMatchObject({
      verdict: 'warning',
      found: 'on this machine, as a superuser',
    })
  })

  test('whose pools leave no room for a second node is told so', async () => {
    const checks = await examine({ COUNTERSIGN_DATABASE_POOL_SIZE: '200' })
    expect(checks['database connections']).toMatchObject({ verdict: 'warning' })
  })

  test('whose key-encryption key does not fit its database is told so, and which does not', async () => {
    await preparePartitions(connection.db, clock.now())
    await ensureInstallation(connection.db, { issuer, clock })
    await maintainSigningKeys({
      db: connection.db,
      clock,
      keyEncryptionKeys: [Buffer.from(OWN, 'base64')],
      signingKeyRotationDays: 90,
    })
    expect((await examine())['stored secrets']).toMatchObject({ verdict: 'ok' })
    expect((await examine({ COUNTERSIGN_KEY_ENCRYPTION_KEY: FORMER }))['stored secrets']).toMatchObject({
      verdict: 'failed',
      found: expect.stringMatching(/sig_\w+, .* and 1 others$/),
    })
    const replacing = await examine({ COUNTERSIGN_KEY_ENCRYPTION_KEY: `${FORMER},${OWN}` })
    expect(replacing['stored secrets']).toMatchObject({
      verdict: 'warning',
      advice: 'Run countersign rekey.',
    })
    expect(replacing['key-encryption key']).toMatchObject({ verdict: 'warning' })
  })

  test('whose maintenance stands still is told so before tokens are refused', async () => {
    await connection.pool.query(`update signing_keys set activated_at = activated_at - interval '91 days'`)
    await connection.pool.query(`update signing_keys set created_at = created_at - interval '91 days'`)
    const { rows } = await connection.pool.query(
      `select relname as name from pg_class where relname ~ '^grant_records_\\d{8}$' order by 1`,
    )
    const tomorrow = `grant_records_${new Date(Date.now() + 86_400_000).toISOString().slice(0, 10).replaceAll('-', '')}`
    expect(rows.map(({ name }) => name)).toContain(tomorrow)
    await connection.pool.query(`drop table ${tomorrow}`)
    const checks = await examine()
    expect(checks['signing keys']).toMatchObject({
      verdict: 'warning',
      found: expect.stringContaining('ES256, EdDSA, RS256 should have been replaced'),
    })
    expect(checks.partitions).toMatchObject({ verdict: 'warning', found: `missing, next: ${tomorrow}` })
    await connection.pool.query(`update signing_keys set status = 'gone' where algorithm = 'EdDSA'`)
    expect((await examine())['signing keys']).toMatchObject({
      verdict: 'failed',
      found: 'no key signs for EdDSA',
    })
  })

  test('whose history was not dropped in time is told so', async () => {
    await connection.pool.query(`create table grant_records_20200101 (like grant_records including all)`)
    await connection.pool.query(
      `alter table grant_records attach partition grant_records_20200101 for values from ('2020-01-01') to ('2020-01-02')`,
    )
    await preparePartitions(connection.db, clock.now())
    expect((await examine()).partitions).toMatchObject({
      verdict: 'warning',
      found: '1 partition should have been dropped, grant_records_20200101 the oldest',
    })
  })

  test('whose schema is of another version is told so', async () => {
    await connection.pool.query(`insert into kysely_migration values ('9999_later', '2026-01-01')`)
    expect((await examine()).migrations).toMatchObject({
      verdict: 'failed',
      found: 'the schema is newer than this version (9999_later)',
    })
    const empty = await createTestDatabase({ empty: true })
    const checks = await examine({ DATABASE_URL: urlOf(empty) })
    expect(checks.migrations).toMatchObject({ verdict: 'failed', advice: 'Run countersign migrate.' })
    await empty.drop()
  })

  test('whose database cannot be reached is told so', async () => {
    const checks = await examine({ DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' })
    expect(checks.database).toMatchObject({
      verdict: 'failed',
      found: expect.stringContaining('127.0.0.1:1'),
    })
    expect(checks.migrations).toBeUndefined()
  })

  test('whose configuration has faults is told them, and nothing else is looked at', async () => {
    const checks = await examine({ COUNTERSIGN_PROT: '1' })
    expect(Object.keys(checks)).toEqual(['configuration'])
    expect(checks.configuration).toMatchObject({
      verdict: 'failed',
      found: expect.stringContaining('COUNTERSIGN_PROT is not a setting'),
    })
  })

  test('that is started with a flag that writes memory out is told so', async () => {
    const checks = await examine({ NODE_OPTIONS: '--report-on-fatalerror --heapsnapshot-signal=SIGUSR2' })
    expect(checks['process memory']).toMatchObject({
      verdict: 'failed',
      found: 'Node.js is started with --report-on-fatalerror --heapsnapshot-signal=SIGUSR2',
    })
  })

  test('whose backups have grown old, are empty or missing is told so', async () => {
    const backups = join(folder, 'backups')
    await mkdir(backups)
    const run = async () => {
      const env = {
        DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none',
        COUNTERSIGN_ISSUER: 'http://127.0.0.1:1',
      }
      return readVerdicts(await runCommand(['doctor', '--json', '--backup', backups], { cwd: folder, env }))
        .backup
    }
    const put = async (name: string, content: string, hoursAgo: number) => {
      await writeFile(join(backups, name), content)
      const then = new Date(Date.now() - hoursAgo * 3_600_000)
      await utimes(join(backups, name), then, then)
    }
    expect(await run()).toMatchObject({
      verdict: 'failed',
      found: expect.stringContaining('there is no file in'),
    })
    await put('a.dump', 'x', 200)
    expect(await run()).toMatchObject({ verdict: 'failed', found: expect.stringContaining('8 days old') })
    await put('b.dump', 'x', 30)
    expect(await run()).toMatchObject({ verdict: 'warning', found: expect.stringContaining('30 hours old') })
    await put('c.dump', '', 1)
    expect(await run()).toMatchObject({ verdict: 'failed', found: expect.stringContaining('is empty') })
  })
})

test('in production no server starts that would write its memory out', async () => {
  const folder = await makeFolder()
  const env = {
    NODE_ENV: 'production',
    NODE_OPTIONS: '--report-uncaught-exception',
    COUNTERSIGN_ISSUER: 'https://id.example.test',
  }
  const { code, stderr } = await runCommand(['serve'], { cwd: folder, env })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^countersign: Node\.js is started with --report-uncaught-exception: .*\n$/)
  await rm(folder, { recursive: true })
})
