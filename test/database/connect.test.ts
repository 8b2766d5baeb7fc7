import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { transactEnding } from '../../src/database/transaction.ts'
import { isDatabaseUnavailable } from '../../src/database/unavailable.ts'
import { parseDatabaseUrl } from '../../src/database-url.ts'
import { urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'

let database: TestDatabase
let connection: DatabaseConnection

beforeAll(async () => {
  database = await createTestDatabase()
  connection = connectDatabase(database.address, { maxConnections: 4, onIdleError: () => undefined })
})

afterAll(async () => {
  await connection.close()
  await database.drop()
})

/** Ends a connection as a restart of the database does. */
async function terminate(pid: number): Promise<void> {
  await connection.pool.query('select pg_terminate_backend($1)', [pid])
}

test('a connection that is lost between two statements of a change fails the change, and not the server', async () => {
  const change = connection.db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx)
    await terminate(rows[0]!.pid)
    await sleep(100)
    await sql`select 1`.execute(trx)
  })
  expect(isDatabaseUnavailable(await change.catch((error: unknown) => error))).toBe(true)
  expect((await sql`select 1`.execute(connection.db)).rows).toHaveLength(1)
})

test('a connection that is lost in the middle of a statement fails the statement, and not the server', async () => {
  const query = sql`select pg_sleep(5)`.execute(connection.db).catch((error: unknown) => error)
  const pid = await eventually(async () => {
    const { rows } = await connection.pool.query(
      `select pid from pg_stat_activity where query like 'select pg_sleep%' and datname = current_database()`,
    )
    expect(rows).toHaveLength(1)
    return rows[0].pid
  })
  await terminate(pid)
  expect(isDatabaseUnavailable(await query)).toBe(true)
  await sleep(100)
  expect((await sql`select 1`.execute(connection.db)).rows).toHaveLength(1)
})

test('a node that stands still in the middle of a revocation does not hold up the tokens of the others', async () => {
  const stalled = transactEnding(connection.db, async (trx) => {
    await sql`select pg_advisory_xact_lock(4207, 1)`.execute(trx)
    await sleep(7_000)
  }).catch((error: unknown) => error)
  await sleep(100)
  const startedAt = performance.now()
  await connection.pool.query('select pg_advisory_xact_lock_shared(4207, 1)')
  expect(performance.now() - startedAt).toBeLessThan(6_500)
  expect(isDatabaseUnavailable(await stalled)).toBe(true)
})

test('the defaults of a database do not change what the server relies on', async () => {
  const { database: name } = database.address
  await connection.pool.query(`alter database ${name} set default_transaction_isolation = 'serializable'`)
  await connection.pool.query(`alter database ${name} set datestyle = 'SQL, DMY'`)
  const fresh = connectDatabase(database.address, { maxConnections: 1, onIdleError: () => undefined })
  const { rows } = await fresh.pool.query(
    `select current_setting('transaction_isolation') as isolation, timestamptz '2026-02-03T04:05:06Z' as at`,
  )
  await fresh.close()
  expect(rows[0]).toEqual({ isolation: 'read committed', at: new Date('2026-02-03T04:05:06Z') })
})

test('options in DATABASE_URL are honoured, and take nothing away that the server relies on', async () => {
  const options = '-c work_mem=5MB -c synchronous_commit=off -c default_transaction_isolation=serializable'
  const url = `${urlOf(database)}&options=${encodeURIComponent(options)}`
  const fresh = connectDatabase(
    { hosts: parseDatabaseUrl(url) },
    { maxConnections: 1, onIdleError: () => undefined },
  )
  const { rows } = await fresh.pool.query(
    `select current_setting('work_mem') as memory, current_setting('synchronous_commit') as commit,
            current_setting('transaction_isolation') as isolation`,
  )
  await fresh.close()
  expect(rows[0]).toEqual({ memory: '5MB', commit: 'on', isolation: 'read committed' })
})

test('whoever keeps the database busy with lists and changes takes no connection that tokens need', async () => {
  const busy = Promise.all(Array.from({ length: 10 }, () => sql`select pg_sleep(1)`.execute(connection.db)))
  await sleep(200)
  const startedAt = performance.now()
  await connection.pool.query('select 1')
  expect(performance.now() - startedAt).toBeLessThan(900)
  await busy
})
