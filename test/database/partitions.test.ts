import { afterEach, beforeEach, expect, test } from '@jest/globals'
import pg from 'pg'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { maintainPartitions, preparePartitions } from '../../src/database/partitions.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const START = Date.UTC(2026, 10, 21, 12)
const DAY = 86_400_000
const RETENTION = { grantRecordDays: 2, auditEventDays: 400 }

let database: TestDatabase
let connection: DatabaseConnection

beforeEach(async () => {
  database = await createTestDatabase()
  connection = connectDatabase(database.address, { maxConnections: 3, onIdleError: () => undefined })
  await maintainPartitions(connection.db, START, RETENTION)
})

afterEach(async () => {
  await connection.close()
  await database.drop()
})

/** Every table that is, was or will be a partition. */
async function tables(of: 'grant_records' | 'used_jtis' | 'audit_events'): Promise<string[]> {
  const { rows } = await connection.pool.query<{ name: string }>(
    `select relname as name from pg_class where relkind = 'r' and relname like $1 order by 1`,
    [`${of}\\_2%`],
  )
  return rows.map((row) => row.name)
}

test('somebody who reads for long, as a backup does, delays the dropping and nothing else', async () => {
  const reader = new pg.Client(database.address)
  await reader.connect()
  await reader.query('begin')
  await reader.query('select count(*) from grant_records')

  const later = START + 40 * DAY
  await expect(maintainPartitions(connection.db, later, RETENTION)).rejects.toThrow('lock timeout')
  expect(await tables('grant_records')).toContain('grant_records_20270103')
  expect(await tables('audit_events')).toContain('audit_events_202702')
  await preparePartitions(connection.db, later)
  await reader.end()

  const { dropped } = await maintainPartitions(connection.db, later, RETENTION)
  expect(dropped).toHaveLength(11)
  expect(await tables('grant_records')).toEqual([
    'grant_records_20261230',
    'grant_records_20261231',
    'grant_records_20270101',
    'grant_records_20270102',
    'grant_records_20270103',
  ])
})

test('what a turn that was killed had detached is dropped by the next one', async () => {
  await connection.pool.query(
    'alter table grant_records detach partition grant_records_20261120 concurrently',
  )
  await maintainPartitions(connection.db, START + 10 * DAY, RETENTION)
  expect(await tables('grant_records')).not.toContain('grant_records_20261120')
})

test('what a turn that was killed had made is attached by the next one', async () => {
  await connection.pool.query('create table grant_records_20261125 (like grant_records including all)')
  const { created } = await maintainPartitions(connection.db, START + DAY, RETENTION)
  expect(created).toContain('grant_records_20261125')
})

test('tables that others have named or attached are left alone', async () => {
  await connection.pool.query(
    `create table grant_records_2020_archive (like grant_records including all);
     create table archive partition of grant_records for values from ('2020-01-01') to ('2021-01-01')`,
  )
  await maintainPartitions(connection.db, START + 40 * DAY, RETENTION)
  const { rows } = await connection.pool.query(
    `select to_regclass('archive') as one, to_regclass('grant_records_2020_archive') as other`,
  )
  expect(rows[0]).toEqual({ one: 'archive', other: 'grant_records_2020_archive' })
})

test('a jti that was used is kept until every clock says that its JWT has expired, and not for long after', async () => {
  const atMidnight = Date.UTC(2026, 10, 24)
  await maintainPartitions(connection.db, atMidnight, RETENTION)
  expect((await tables('used_jtis'))[0]).toBe('used_jtis_20261123')
})
