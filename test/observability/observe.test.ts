import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { findLogLine } from '../conformance/support.ts'
import { eventually } from '../support/eventually.ts'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
})

afterAll(() => server.close())

const LONG = 'eyJ'.repeat(40_000)

test.each<[string, Record<string, string>]>([
  ['scope', { scope: LONG }],
  ['list of scopes', { scope: Array.from({ length: 10_000 }, (_, index) => `s${index}`).join(' ') }],
  ['resource', { resource: `https://h/${LONG}` }],
])('a %s of 100 KB makes a short log line, at once', async (_what, form) => {
  const startedAt = performance.now()
  const answer = await fixture.requestToken({ form })
  expect(answer.status).toBe(400)
  expect(JSON.stringify(await findLogLine(server, answer)).length).toBeLessThan(5_000)
  expect(performance.now() - startedAt).toBeLessThan(1_000)
})

test('a caller who is gone before the answer is counted as that, not as answered', async () => {
  const locked = await server.connection.pool.connect()
  await locked.query('begin; lock table kysely_migration in access exclusive mode')
  const gone = new AbortController()
  const request = fetch(`${server.url}/health/ready`, { signal: gone.signal }).catch(() => undefined)
  await eventually(async () => {
    const { rows } = await locked.query('select 1 from pg_locks where not granted')
    expect(rows).not.toEqual([])
  })
  gone.abort()
  await request
  await eventually(async () => {
    const { values } = await server.metrics.registry.getSingleMetric('countersign_requests_total')!.get()
    const statuses = values
      .filter(({ labels }) => labels.endpoint === 'health')
      .map(({ labels }) => labels.status)
    expect(statuses).toEqual(['aborted'])
  })
  await locked.query('rollback')
  locked.release()
})
