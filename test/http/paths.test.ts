import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.close())

test.each(['/API/v1/me', '/OAuth/token', '/oauth/TOKEN', '/Health/live', '/.Well-Known/jwks.json'])(
  'a path has one spelling, so that a rule of a proxy for it covers it: %s is not there',
  async (path) => {
    expect((await fetch(server.url + path)).status).toBe(404)
  },
)

test.each(['/oauth/token/', '/oauth/introspect/', '/.well-known/jwks.json/', '/health/ready/'])(
  'no endpoint answers under a name that the metrics do not know: %s is not there',
  async (path) => {
    expect((await fetch(server.url + path)).status).toBe(404)
  },
)
