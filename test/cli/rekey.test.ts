import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { KINDS } from '../../src/cli/rekey.ts'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { preparePartitions } from '../../src/database/partitions.ts'
import { ensureInstallation } from '../../src/directory/installation.ts'
import { maintainSigningKeys } from '../../src/directory/signing-keys.ts'
import { isWrappedByFirst, type KeyEncryptionKeys, unwrap, wrap } from '../../src/signing/envelope.ts'
import { makeFolder, type Outcome, runCommand, urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createTestClock } from '../support/test-clock.ts'
import { until } from '../support/until.ts'

/** The test server's own, the one that takes its place, and one that has nothing to do with either. */
const [OLD, YOUNG, STRANGE] = [Buffer.alloc(32, 7), randomBytes(32), randomBytes(32)]
const SECRET = Buffer.from('a secret of somebody')
const SETTING = 'COUNTERSIGN_KEY_ENCRYPTION_KEY'

const ISSUER = 'https://id.example.test'

let database: TestDatabase
let connection: DatabaseConnection
let folder: string
const clock = createTestClock()
beforeAll(async () => {
  database = await createTestDatabase()
  connection = connectDatabase(database.address, { maxConnections: 4, onIdleError: () => undefined })
  folder = await makeFolder()
  await preparePartitions(connection.db, clock.now())
  await ensureInstallation(connection.db, { issuer: ISSUER, clock })
  await maintain([OLD])
  // More than one transaction takes, and a row without a secret.
  await connection.pool.query(`
    insert into organizations (id, slug, name, status, settings, created_at, updated_at)
      select 'org_' || n, 'org-' || n, 'o', 'active', '{}', now(), now() from generate_series(1, 450) n`)
  const ids = Array.from({ length: 450 }, (_, index) => `org_${index + 1}`)
  await connection.pool.query(
    `insert into identity_providers (organization_id, issuer, client_id, wrapped_client_secret, email_domains,
                                     created_at, updated_at)
     select t.id, 'https://idp.example', 'c', t.wrapped, '{}', now(), now()
     from unnest($1::text[], $2::bytea[]) as t (id, wrapped)`,
    [ids, ids.map((id, index) => (index === 0 ? null : wrap(SECRET, [OLD], `${id} client secret`)))],
  )
})
afterAll(async () => {
  await connection.close()
  await database.drop()
  await rm(folder, { recursive: true })
})

function maintain(keyEncryptionKeys: KeyEncryptionKeys) {
  return maintainSigningKeys({ db: connection.db, clock, keyEncryptionKeys, signingKeyRotationDays: 90 })
}

function rekey(...keys: Buffer[]): Promise<Outcome> {
  const env = {
    DATABASE_URL: urlOf(database),
    COUNTERSIGN_ISSUER: ISSUER,
    [SETTING]: keys.map((key) => key.toString('base64')).join(','),
  }
  return runCommand(['rekey'], { cwd: folder, env })
}

type Stored = { id: string; wrapped: Buffer; boundTo: string }
async function readAll(): Promise<Stored[]> {
  const all: Stored[] = []
  for (const { table, idColumn, column, boundTo } of KINDS) {
    const { rows } = await connection.pool.query(
      `select ${idColumn} as id, ${column} as wrapped from ${table} where ${column} is not null`,
    )
    all.push(...rows.map((row) => ({ ...row, boundTo: boundTo(row.id) })))
  }
  return all
}
const isUnder = (keys: KeyEncryptionKeys, all: readonly Stored[]) =>
  all.every(({ wrapped, boundTo }) => isWrappedByFirst(wrapped, keys, boundTo))

test('every column of wrapped secrets is wrapped anew', async () => {
  const { rows } = await connection.pool.query(
    `select table_name || '.' || column_name as name from information_schema.columns
     where column_name like '%wrapped%' and table_schema = 'public'`,
  )
  expect(KINDS.map(({ table, column }) => `${table}.${column}`).sort()).toEqual(
    rows.map(({ name }) => name).sort(),
  )
})

test('what no key opens is named, and everything else is wrapped anew', async () => {
  const strange = wrap(SECRET, [STRANGE], 'org_9 client secret')
  const { rows } = await connection.pool.query(
    `select wrapped_client_secret as good from identity_providers where organization_id = 'org_9'`,
  )
  const put = (wrapped: Buffer) =>
    connection.pool.query(
      `update identity_providers set wrapped_client_secret = $1 where organization_id = 'org_9'`,
      [wrapped],
    )
  await put(strange)
  const { code, stdout, stderr } = await rekey(YOUNG, OLD)
  expect(code).toBe(1)
  expect(stdout).toContain('signing keys: 6 wrapped anew, 0 under the first key already\n')
  expect(stdout).toContain('448 wrapped anew, 0 under the first key already, 1 that no key opens\n')
  expect(stderr).toContain('None of the key-encryption keys opens what is stored for org_9.')
  expect(stderr.trim().split('\n')).toHaveLength(1)
  await put(rows[0].good)
})

test('the second time shows that nothing was left', async () => {
  expect(await rekey(YOUNG, OLD)).toMatchObject({ code: 0, stderr: '' })
  const again = await rekey(YOUNG, OLD)
  expect(again).toMatchObject({ code: 0, stderr: '' })
  expect(again.stdout).toContain('signing keys: 0 wrapped anew, 6 under the first key already\n')
  expect(again.stdout).toContain('0 wrapped anew, 449 under the first key already\n')
  expect(again.stdout).toContain('If every node has it first, the others can go.')
  const all = await readAll()
  expect(isUnder([YOUNG], all)).toBe(true)
  for (const { wrapped, boundTo } of all.filter(({ id }) => id.startsWith('org_'))) {
    expect(unwrap(wrapped, [YOUNG], boundTo)).toEqual(SECRET)
  }
})

test('afterwards the former key opens nothing, alone', async () => {
  const { code, stderr } = await rekey(OLD)
  expect(code).toBe(1)
  expect(stderr).toContain('None of the key-encryption keys opens')
  expect(isUnder([YOUNG], await readAll())).toBe(true)
})

test('each transaction tells the trail what it did, and shows no secret', async () => {
  const { rows } = await connection.pool.query(
    `select actor_kind, changes from audit_events where action = 'installation.rekeyed' order by sequence`,
  )
  expect(
    rows.map(({ actor_kind, changes }) => `${actor_kind} ${changes.after.rewrapped} ${changes.after.count}`),
  ).toEqual(
    expect.arrayContaining(['system signing keys 6', 'system client secrets at identity providers 200']),
  )
})

test('what changes while it runs is not put back', async () => {
  const client = new pg.Client(database.address)
  await client.connect()
  await client.query('begin')
  const wrapped = wrap(Buffer.from('a newer one'), [OLD], 'org_2 client secret')
  await client.query(
    `update identity_providers set wrapped_client_secret = $1 where organization_id = 'org_2'`,
    [wrapped],
  )
  const running = rekey(OLD, YOUNG)
  await until(async () => {
    const { rows } = await connection.pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return rows.length > 0 ? true : undefined
  })
  await client.query('commit')
  await client.end()
  expect(await running).toMatchObject({ code: 0, stderr: '' })
  const stored = (await readAll()).find(({ id }) => id === 'org_2') as Stored
  expect(unwrap(stored.wrapped, [OLD], stored.boundTo).toString()).toBe('a newer one')
  expect(await rekey(OLD)).toMatchObject({ code: 0, stderr: '' })
})

test('keys that are made while one takes the place of another are under the first', async () => {
  await connection.pool.query(`update signing_keys set activated_at = activated_at - interval '91 days'`)
  clock.advance(7200)
  await maintain([YOUNG, OLD])
  const { rows } = await connection.pool.query(
    `select id, wrapped_private_key as wrapped from signing_keys where status = 'next'`,
  )
  expect(rows).toHaveLength(3)
  expect(rows.every(({ id, wrapped }) => isWrappedByFirst(wrapped, [YOUNG], id))).toBe(true)
})

test('a database without anything to wrap is fine', async () => {
  const empty = await createTestDatabase()
  const env = { DATABASE_URL: urlOf(empty), [SETTING]: OLD.toString('base64') }
  const { code, stdout } = await runCommand(['rekey'], { cwd: folder, env })
  expect({ code, isFine: stdout.includes('Everything is under the one key.') }).toEqual({
    code: 0,
    isFine: true,
  })
  await empty.drop()
})
