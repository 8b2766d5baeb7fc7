import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { connectDatabase } from '../../src/database/connect.ts'
import { asClient, byAssertion } from '../support/client-assertions.ts'
import { clusterConnection } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type DatabaseLink, openDatabaseLink } from '../support/database-link.ts'
import { expectProblem } from '../support/management.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'
import { expectRefusalFor, findLogLine } from './support.ts'

let database: TestDatabase
let link: DatabaseLink
let server: TestServer
let fixture: Fixture
/** Past the link, in the server's database: what is true while the server is cut off. */
let witness: pg.Client
/** In another database of the same PostgreSQL, as an administrator. */
let administrator: pg.Client

beforeAll(async () => {
  database = await createTestDatabase()
  link = await openDatabaseLink(database.address)
  const connection = connectDatabase(link.address, { maxConnections: 4, onIdleError: () => undefined })
  server = await startTestServer({ connection })
  fixture = await server.createFixture()
  witness = await connect(database.address)
  administrator = await connect(clusterConnection())
})
afterAll(async () => {
  await server.close()
  await server.connection.close()
  await link.close()
  await witness.end()
  await administrator.end()
  await database.drop()
})

test('[6749-5.2-6] while the database is cut off, the answer is to try again, nothing is issued, and no jti is lost', async () => {
  const token = await fixture.getToken()
  const assertion = await fixture.assertion()
  const before = await countGrants()

  await link.cut()
  await expectUnavailable(await fixture.requestToken({ assertion }))
  await expectUnavailable(await fixture.introspect(token))
  await expectUnavailable(await askAsProxy(token))
  const many = await Promise.all(Array.from({ length: 20 }, () => fixture.requestToken({ assertion })))
  for (const answer of many) await expectUnavailable(answer)
  // What needs no database is answered as ever.
  const malformed = await fixture.requestToken({ assertion: 'x' })
  await expectRefusalFor(server, malformed, { error: 'invalid_grant', reason: 'assertion_malformed' })
  expect(await countGrants()).toBe(before)

  await link.restore()
  expect((await fixture.requestToken({ assertion })).status).toBe(200)
  expect((await fixture.introspect(token)).body).toMatchObject({ active: true })
  expect((await askAsProxy(token)).status).toBe(204)
  expect(await countGrants()).toBe(before + 1)
})

test('[7009-2.2-3] while the database is cut off, nobody is made believe that a token has ended', async () => {
  const token = await fixture.getToken()
  const assertion = await asClient(server, fixture).assertion()
  const revoke = () => server.post('/oauth/revoke', { token, ...byAssertion(assertion) })
  await link.cut()
  await expectUnavailable(await revoke())
  await link.restore()
  expect((await fixture.introspect(token)).body).toMatchObject({ active: true })
  expect((await revoke()).status).toBe(200)
  expect((await fixture.introspect(token)).body).toEqual({ active: false })
})

test('[6749-5.2-6] a connection that breaks while the grant is written leaves nothing half-issued', async () => {
  const assertion = await fixture.assertion()
  const before = await countGrants()

  // The lock that a revocation takes holds back the insert until the connection is gone.
  await witness.query('select pg_advisory_lock(4207, 1)')
  const pending = fixture.requestToken({ assertion })
  await untilInsertWaits()
  await link.cut()
  await expectUnavailable(await pending)
  await endSessions('countersign')
  await witness.query('select pg_advisory_unlock(4207, 1)')
  expect(await countGrants()).toBe(before)

  await link.restore()
  expect((await fixture.requestToken({ assertion })).status).toBe(200)
  const again = await fixture.requestToken({ assertion })
  await expectRefusalFor(server, again, { error: 'invalid_grant', reason: 'assertion_replayed' })
  expect(await countGrants()).toBe(before + 1)
})

test('[6749-5.2-6] a server process of PostgreSQL that is ended under a request is unavailability, not a bug', async () => {
  const assertion = await fixture.assertion()
  const before = await countGrants()
  await witness.query('select pg_advisory_lock(4207, 1)')
  const pending = fixture.requestToken({ assertion })
  await untilInsertWaits()
  await endSessions('countersign')
  await expectUnavailable(await pending)
  await witness.query('select pg_advisory_unlock(4207, 1)')
  expect(await countGrants()).toBe(before)
  expect((await fixture.requestToken({ assertion })).status).toBe(200)
})

test.each([
  ['takes no connections', '55000', (name: string) => `alter database ${name} allow_connections false`],
  ['is being moved away', '3D000', (name: string) => `alter database ${name} rename to ${name}_away`],
])('[6749-5.2-6] a database that %s is waited for', async (_name, code, takeAway) => {
  const { database: name } = database.address
  const assertion = await fixture.assertion()
  await witness.end()
  await endSessions('%')
  await administrator.query(takeAway(name))
  while (server.connection.pool.totalCount > 0) await sleep(10)
  try {
    const answer = await fixture.requestToken({ assertion })
    await expectUnavailable(answer)
    expect((await findLogLine(server, answer)).detail).toMatchObject({ code })
  } finally {
    const { rows } = await administrator.query('select 1 from pg_database where datname = $1', [name])
    if (rows.length === 0) await administrator.query(`alter database ${name}_away rename to ${name}`)
    await administrator.query(`alter database ${name} allow_connections true`)
    witness = await connect(database.address)
  }
  expect((await fixture.requestToken({ assertion })).status).toBe(200)
})

async function askAsProxy(token: string): Promise<Answer> {
  const { identifier, secret } = fixture.resourceServer
  const headers = { authorization: `Bearer ${token}`, 'x-resource-server-secret': secret }
  const query = new URLSearchParams({ resource: identifier })
  return toAnswer(await fetch(`${server.url}/oauth/forward-auth?${query}`, { headers }))
}

test('[6749-5.2-6] while the partition of the day or the month is missing, nothing is done, and that is no bug', async () => {
  const held = await server.operatorToken()
  const path = `${server.url}/api/v1/organizations/${fixture.organizationId}/groups`
  const headers = { authorization: `Bearer ${held}`, 'content-type': 'application/json' }
  await witness.query(
    `alter table audit_events rename to kept; create table audit_events (like kept including all) partition by range (at)`,
  )
  const body = JSON.stringify({ name: 'Never' })
  const change = await toAnswer(await fetch(path, { method: 'POST', headers, body }))
  await witness.query('drop table audit_events; alter table kept rename to audit_events')
  expectProblem(change, 503, 'database_unavailable')
  expect((await must(server.api('GET', `/organizations/${fixture.organizationId}/groups`))).items).toEqual([])

  server.clock.advance(40 * 86_400)
  await expectUnavailable(await fixture.requestToken())
  await server.maintain()
  expect((await fixture.requestToken()).status).toBe(200)
})

async function expectUnavailable(answer: Answer): Promise<void> {
  await expectRefusalFor(server, answer, {
    status: 503,
    error: 'temporarily_unavailable',
    reason: 'database_unavailable',
  })
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  expect(answer.text).not.toMatch(/ECONN|ENOENT|PGSQL|terminat/)
}

async function connect(address: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(address)
  await client.connect()
  return client
}

async function countGrants(): Promise<number> {
  const { rows } = await witness.query('select count(*)::int as count from grant_records')
  return rows[0].count
}

async function untilInsertWaits(): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const { rows } = await administrator.query(
      `select 1 from pg_stat_activity where datname = $1 and wait_event = 'advisory' and query like '%record_grants%'`,
      [database.address.database],
    )
    if (rows.length > 0) return
    await sleep(10)
  }
  throw new Error('the insert never came to wait')
}

/** Ends sessions with the server's database, as a restart of PostgreSQL does. */
async function endSessions(application: 'countersign' | '%'): Promise<void> {
  await administrator.query(
    'select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1 and application_name like $2',
    [database.address.database, application],
  )
}
