import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { maintainPartitions } from '../../src/database/partitions.ts'
import { listAccountEvents } from '../../src/database/queries/audit-events.ts'
import { countTokensOfDay, listTallies } from '../../src/database/queries/token-tallies.ts'
import type { Database } from '../../src/database/tables.ts'
import { newId } from '../../src/ids.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const DAY = 86_400_000
const HOUR = 3_600_000
/** At noon, so that hours before and after are of the same day. */
const START = Date.UTC(2026, 10, 21, 12)
const MIDNIGHT = Date.UTC(2026, 10, 21)
const RETENTION = { grantRecordDays: 30, auditEventDays: 400 }

/** More than are counted at a time, and the one that gets tokens is the last. */
const ACCOUNTS = `
  with o as (
    insert into organizations (id, slug, name, status, settings, created_at, updated_at)
    values ('org_1', 'one', 'One', 'active', '{}', now(), now())
  )
  insert into accounts (id, organization_id, kind, name, slug, email, description, status, assertion_policy, created_at,
    created_by, updated_at)
  select id, 'org_1', 'service_account', id, id, id, '', 'active', '{}', now(), 'system', now()
  from (select 'acc_0' || n as id from generate_series(1, 600) n union all select 'acc_1') ids`

let database: TestDatabase
let connection: DatabaseConnection

beforeEach(async () => {
  database = await createTestDatabase()
  connection = connectDatabase(database.address, { maxConnections: 4, onIdleError: () => undefined })
  await connection.pool.query(ACCOUNTS)
  await maintain(START)
})

afterEach(async () => {
  await connection.close()
  await database.drop()
})

const maintain = (now: number) => maintainPartitions(connection.db, now, RETENTION)

/** Tokens of a key, made at that time, whose assertions expire as far from then as is given. */
async function issue(keyId: string, at: number, tokens = 1, expiresAfter = 300_000): Promise<void> {
  for (let count = 0; count < tokens; count++) {
    await connection.pool.query(
      `insert into grant_records (account_id, id, assertion_expires_at, organization_id, key_id, resource_server_id,
         subject, scope, token_format, token_generation, issued_at, expires_at, request_id)
       values ('acc_1', $1, $2, 'org_1', $3, 'rs_1', 'acc_1', 'read', 'jwt', 0, $4, $4, 'req_1')`,
      [newId('tok', at), new Date(at + expiresAfter), keyId, new Date(at)],
    )
  }
}

async function tallies(): Promise<Record<string, number>> {
  const rows = await listTallies(connection.db, 'acc_1', new Date(0))
  return Object.fromEntries(
    rows.map(({ keyId, day, tokens }) => [`${keyId} ${day.toISOString().slice(0, 10)}`, tokens]),
  )
}

async function talliedDays(): Promise<string[]> {
  const { rows } = await connection.pool.query<{ day: Date }>('select day from tallied_days order by day')
  return rows.map(({ day }) => day.toISOString().slice(0, 10))
}

test('a day is counted once it is over, by key, wherever the records of its tokens lie', async () => {
  await issue('key_1', START, 3)
  await issue('key_2', START)
  // The first and the last of the day, whose records lie beside it; the next ones are of other days.
  await issue('key_1', MIDNIGHT, 1, -5_000)
  await issue('key_1', MIDNIGHT + DAY - 1, 1, HOUR)
  await issue('key_1', MIDNIGHT - 1, 1, HOUR)
  await issue('key_1', MIDNIGHT + DAY, 1)

  expect((await maintain(MIDNIGHT + DAY + HOUR - 1)).tallied).toEqual([])
  expect((await maintain(MIDNIGHT + DAY + HOUR)).tallied).toEqual([MIDNIGHT])
  expect(await tallies()).toEqual({ 'key_1 2026-11-21': 5, 'key_2 2026-11-21': 1 })
})

test('it is counted once, however many nodes are at it and however often', async () => {
  await issue('key_1', START, 4)
  await Promise.all(Array.from({ length: 4 }, () => maintain(START + DAY)))
  await maintain(START + DAY + HOUR)
  expect(await tallies()).toEqual({ 'key_1 2026-11-21': 4 })
  expect(await talliedDays()).toEqual(['2026-11-21'])
})

test('days of which records may be gone are not counted, and days without tokens are', async () => {
  // No server ran for a week: partitions of the days between were never made.
  await maintain(START + 7 * DAY)
  expect(await talliedDays()).toEqual(['2026-11-21', '2026-11-22', '2026-11-23'])
  await maintain(START + 9 * DAY)
  expect((await talliedDays()).slice(3)).toEqual(['2026-11-28', '2026-11-29'])
})

test('what an upgrade finds is counted as far back as its records go', async () => {
  for (let day = 1; day <= 12; day++) await maintain(START + day * DAY)
  await issue('key_1', START + 2 * DAY, 2)
  await connection.pool.query('truncate token_tallies; truncate tallied_days')
  await maintain(START + 12 * DAY)
  expect(await talliedDays()).toHaveLength(12)
  expect(await tallies()).toEqual({ 'key_1 2026-11-23': 2 })
})

test('tallies outlive the records, and are dropped by whole months in their turn', async () => {
  await issue('key_1', START)
  await maintain(START + DAY)
  await maintain(START + 40 * DAY)
  expect(await tallies()).toEqual({ 'key_1 2026-11-21': 1 })
  await maintain(START + 120 * DAY)
  expect(await tallies()).toEqual({})
  expect(await talliedDays()).not.toContain('2026-11-21')
})

test('a day that is not over is counted from its records', async () => {
  await issue('key_1', START, 2)
  await issue('key_2', MIDNIGHT + DAY - 1, 1, HOUR)
  await issue('key_1', MIDNIGHT + DAY, 1)
  const counted = await countTokensOfDay(connection.db, 'acc_1', MIDNIGHT)
  expect(counted.map(({ keyId, tokens }) => [keyId, tokens]).sort()).toEqual([
    ['key_1', 2],
    ['key_2', 1],
  ])
})

describe('what the pages of an account ask for', () => {
  /** Thousands of rows each, of many accounts. */
  const SEED = [
    `    insert into grant_records (account_id, id, assertion_expires_at, organization_id, key_id, resource_server_id,
      subject, scope, token_format, token_generation, issued_at, expires_at, request_id)
    select 'acc_' || n % 100, 'tok_' || lpad(n::text, 20, '0'), '2026-11-20'::timestamptz + n % 3 * interval '1 day',
      'org_1', 'key_' || n % 100, 'rs_1', 's', 'read', 'jwt', 0, now(), now(), 'req'
    from generate_series(1, 9000) n`,
    `insert into token_tallies select 'acc_' || n % 500, '2026-11-01'::timestamptz + n / 500 * interval '1 day', 'key_' || n, 1
    from generate_series(0, 9999) n`,
    `insert into audit_events (organization_id, id, at, actor_kind, actor_name, actor_id, action, target_id, sequence,
      previous_hash, hash)
    select 'org_1', 'evt_' || lpad(n::text, 20, '0'), '2026-11-20', 'administrator', 'a', 'acc_' || n % 100, 'x',
      'acc_' || n % 77, n, '', ''
    from generate_series(1, 9000) n`,
    'analyze grant_records, token_tallies, audit_events',
  ]

  test.each<[string, (db: Kysely<Database>) => Promise<unknown>]>([
    ['the tokens of a day', (db) => countTokensOfDay(db, 'acc_7', MIDNIGHT)],
    ['the tallies of a month', (db) => listTallies(db, 'acc_7', new Date(MIDNIGHT - 10 * DAY))],
    [
      'the events about it',
      (db) =>
        listAccountEvents(
          db,
          { organizationId: 'org_1', accountId: 'acc_7' },
          { limit: 51, before: 'evt_00000000000000008000' },
        ),
    ],
  ])('%s is read by index, however much there is', async (_what, run) => {
    for (const statement of SEED) await connection.pool.query(statement)
    const sent: { sql: string; parameters: readonly unknown[] }[] = []
    const watched = new Kysely<Database>({
      dialect: new PostgresDialect({ pool: connection.pool }),
      plugins: [new CamelCasePlugin()],
      log: ({ query }) => {
        sent.push(query)
      },
    })
    await run(watched)
    const [query] = sent
    const { rows } = await connection.pool.query(`explain (format json) ${query?.sql}`, [
      ...(query?.parameters ?? []),
    ])
    const plan = JSON.stringify(rows[0]['QUERY PLAN'])
    const whole = [...plan.matchAll(/"Node Type":"Seq Scan"[^{}]*?"Relation Name":"(\w+)"/g)].map(
      ([, name]) => name,
    )
    // Partitions without any row are read in any way.
    expect(whole.filter((name) => /_2026112[012]$|_202611$/.test(name ?? ''))).toEqual([])
    expect(plan).toContain('Index')
  })
})
