import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { findLogLine } from '../conformance/support.ts'
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
