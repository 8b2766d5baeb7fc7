import { once } from 'node:events'
import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createOrganization, request } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

const EVENTS = 200_000
const MEGABYTE = 2 ** 20
/** Far below what the events take as text (130 MB) or as objects. */
const MAX_GROWTH_BYTES = 48 * MEGABYTE

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

let server: TestServer
let fixture: Fixture
let organization: { id: string; slug: string }
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  organization = await createOrganization(server)
  // The export does not look at hashes; `audit verify` would find these.
  for (let first = 1; first <= EVENTS; first += EVENTS / 20) {
    await server.connection.pool.query(
      `insert into audit_events (organization_id, id, at, actor_kind, actor_name, action, target_id, target_kind,
         target_name, changes, ip, user_agent, request_id, sequence, previous_hash, hash)
       select $1, 'evt_01m7yq' || lpad(n::text, 30, '0'), now(), 'system', 'Countersign', 'organization.updated', $1,
         'organization', 'Acme', '{"before":{"name":"Acme"},"after":{"name":"Acme Corporation"}}', '203.0.113.7',
         'curl/8.14.1', 'req_' || n, n + 1, sha256('x'), sha256('y')
       from generate_series($2::int, $3::int) n`,
      [organization.id, first, first + EVENTS / 20 - 1],
    )
  }
  // As autovacuum would, a minute later.
  await server.connection.pool.query('analyze audit_events')
}, 120_000)
afterAll(() => server.close())

test('an export is the list, an event a line, whatever the conditions', async () => {
  for (let round = 0; round < 5; round++) {
    await fixture.getToken()
    await must(server.api('PATCH', fixture.accountPath, { description: `round ${round}` }))
  }
  const trail = `/organizations/${fixture.organizationId}/audit-events`
  for (const query of ['', '&include_tokens=false', '&action=token.issued', `&actor=${fixture.accountId}`]) {
    const { items } = await must(server.api('GET', `${trail}?limit=200${query}`))
    const answer = await exportOf(`${trail}?limit=1${query}`)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^application\/x-ndjson/)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.text.endsWith('\n')).toBe(true)
    const lines = answer.text.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(items)
  }
})

test('an export of nothing is empty, and one that may not be is a problem', async () => {
  const nothing = await exportOf(`/organizations/${fixture.organizationId}/audit-events?action=no.such`)
  expect([nothing.status, nothing.text]).toEqual([200, ''])
  const unknown = await exportOf(`/organizations/org_${'0'.repeat(36)}/audit-events`)
  expect(unknown.status).toBe(404)
  expect(unknown.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  expect((await exportOf(`/organizations/${fixture.organizationId}/audit-events?from=x`)).status).toBe(400)
  const head = await request(server, 'HEAD', `/organizations/${organization.id}/audit-events`, {
    token: await server.operatorToken(),
    headers: { accept: 'application/x-ndjson' },
  })
  expect([head.status, head.text]).toEqual([200, ''])
})

describe(`an export of ${EVENTS} events`, () => {
  test('has all of them, and memory does not grow with it', async () => {
    const response = await open()
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    let lines = 0
    let bytes = 0
    let highest = 0
    let nextLook = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      for (const byte of chunk) if (byte === 10) lines++
      if (bytes < nextLook) continue
      nextLook = bytes + 8 * MEGABYTE
      collectGarbage()
      highest = Math.max(highest, process.memoryUsage().heapUsed)
    }
    expect(lines).toBe(EVENTS + 1)
    expect(bytes).toBeGreaterThan(100 * MEGABYTE)
    expect(highest - before).toBeLessThan(MAX_GROWTH_BYTES)
  }, 120_000)

  test('that nobody reads on holds no transaction, no connection and no growing memory', async () => {
    const response = await open()
    await once(response, 'readable')
    await sleep(300)
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    await sleep(700)
    const { rows } = await server.connection.pool.query(
      `select count(*)::int as busy from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()
         and (state <> 'idle' or xact_start is not null) and backend_type = 'client backend'`,
    )
    expect(rows[0].busy).toBe(0)
    const { pool } = server.connection
    expect(pool.idleCount).toBe(pool.totalCount)
    collectGarbage()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(MAX_GROWTH_BYTES)
    response.destroy()
  })

  test('that is broken off by its reader reads nothing more', async () => {
    const calls = await countReads()
    const response = await open()
    await once(response, 'readable')
    response.destroy()
    await until(async () => {
      const line = server.logs().findLast((entry) => String(entry.path).endsWith('/audit-events'))
      return line?.status === 'aborted' ? line : undefined
    })
    const after = await countReads()
    await sleep(500)
    expect(await countReads()).toBe(after)
    expect(after - calls).toBeLessThan(EVENTS / 2)
    expect(server.logs().filter((entry) => entry.level === 'error')).toEqual([])
  })
})

/** Rows of audit events that PostgreSQL has read so far, by index. */
async function countReads(): Promise<number> {
  await server.connection.pool.query('select pg_stat_force_next_flush()')
  const { rows } = await server.connection.pool.query(
    `select coalesce(sum(idx_tup_fetch), 0)::float8 as count from pg_stat_user_tables where relname like 'audit_events_%'`,
  )
  return rows[0].count
}

async function exportOf(path: string) {
  const headers = { authorization: `Bearer ${await server.operatorToken()}`, accept: 'application/x-ndjson' }
  const response = await fetch(`${server.url}/api/v1${path}`, { headers })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

/** Begins an export without reading it: fetch would gather the answer in memory. */
async function open(): Promise<IncomingMessage> {
  const token = await server.operatorToken()
  const sent: ClientRequest = get(`${server.url}/api/v1/organizations/${organization.id}/audit-events`, {
    headers: { authorization: `Bearer ${token}`, accept: 'application/x-ndjson' },
    agent: false,
  })
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  expect(response.statusCode).toBe(200)
  response.on('error', () => undefined)
  return response
}
