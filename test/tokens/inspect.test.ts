import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.close())

test('a token holds whatever the length of its scope', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  const names = Array.from({ length: 400 }, (_, index) => `permission-${index}-`.padEnd(60, 'x'))
  const { id } = fixture.resourceServer
  await must(server.api('PATCH', `/resource-servers/${id}`, { permissions: names.map((name) => ({ name })) }))
  const permissions = names.map((permission) => ({ resource_server_id: id, permission }))
  await must(server.api('PATCH', fixture.accountPath, { permissions }))
  const token = await fixture.getToken()
  expect(token.length).toBeGreaterThan(32_000)
  expect((await fixture.introspect(token)).body.active).toBe(true)
})
