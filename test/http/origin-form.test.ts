import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sendRaw } from '../support/raw-request.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.close())

test.each([
  'http://127.0.0.1',
  'https://evil.example',
  'HTTP://evil.example:1',
  'http://user:x@evil.example',
])('a request target that begins with %s names the same path, everywhere', async (origin) => {
  const authorization = `Bearer ${await server.operatorToken()}`
  const send = (path: string) =>
    sendRaw(server, { method: 'GET', target: origin + path, headers: { authorization } })
  expect((await send('/api/v1/me')).status).toBe(200)
  expect((await send('/api/v1/resource-servers?limit=1')).body.items).toHaveLength(1)
  expect((await send('/api/v1/nothing')).status).toBe(404)
  expect((await send('/.well-known/oauth-authorization-server')).body.issuer).toBe(server.issuer)
  expect((await send('')).status).toBe(404)
  expect((await send('?a=b')).status).toBe(404)
})
