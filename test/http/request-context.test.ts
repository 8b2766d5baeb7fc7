import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { findLogLine } from '../conformance/support.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ trustedProxies: ['127.0.0.1', '10.0.0.0/8'] })
})

afterAll(() => server.close())

test.each<[string, string, string]>([
  ['an address', '203.0.113.7', '203.0.113.7'],
  ['an address behind another trusted proxy', '203.0.113.7, 10.1.2.3', '203.0.113.7'],
  ['an IPv6 address', '2001:db8::7', '2001:db8::7'],
  ['a text', 'me "); drop', '127.0.0.1'],
  ['a long text', 'x'.repeat(8_000), '127.0.0.1'],
  ['nothing', '', '127.0.0.1'],
])('what a trusted proxy passes on is kept when it is an address: %s', async (_what, given, kept) => {
  const answer = await server.post('/oauth/token', {}, { 'x-forwarded-for': given })
  expect(await findLogLine(server, answer)).toMatchObject({ ip: kept })
})
