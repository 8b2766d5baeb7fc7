import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { expectProblem } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let tokens: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ tokenFormat: 'opaque' })
  tokens = `${fixture.accountPath}/tokens`
})
afterAll(() => server.close())

test('the list has exactly the tokens that introspection calls active, and never a token itself', async () => {
  const first = await fixture.getToken()
  const second = await fixture.getToken({ scope: 'read' })
  const listed = await server.api('GET', tokens)
  expect(listed.body.items).toHaveLength(2)
  expect(listed.body.items[0]).toMatchObject({
    key_id: fixture.keyId,
    resource_server_id: fixture.resourceServer.id,
    subject: fixture.accountId,
    scope: 'read',
    token_format: 'opaque',
    client_ip: expect.any(String),
  })
  expect(listed.text).not.toContain(first)
  const { jti } = (await fixture.introspect(second)).body
  expect(jti).toBe(listed.body.items[0].id)

  expect((await server.api('DELETE', `${tokens}/${jti}`)).status).toBe(204)
  expect((await fixture.introspect(second)).body).toEqual({ active: false })
  expect((await fixture.introspect(first)).body.active).toBe(true)
  expect((await server.api('DELETE', `${tokens}/${jti}`)).status).toBe(204)
  expect((await must(server.api('GET', tokens))).items).toHaveLength(1)
})

test('ending all tokens ends them all and leaves the keys at work', async () => {
  const token = await fixture.getToken()
  expect((await server.api('DELETE', tokens)).status).toBe(204)
  expect((await fixture.introspect(token)).body).toEqual({ active: false })
  expect((await must(server.api('GET', tokens))).items).toEqual([])
  expect((await fixture.introspect(await fixture.getToken())).body.active).toBe(true)
  expect((await server.api('DELETE', tokens)).status).toBe(204)
})

test('an expired token can be ended like any other, an unknown one cannot', async () => {
  const token = await fixture.getToken()
  const { jti } = (await fixture.introspect(token)).body
  server.clock.advance(1000)
  expect((await server.api('DELETE', `${tokens}/${jti}`)).status).toBe(204)
  expectProblem(await server.api('DELETE', `${tokens}/tok_${'0'.repeat(36)}`), 404, 'resource_not_found')
})

test('a revoked management token stops working at this API at once', async () => {
  const me = await must(server.api('GET', '/me'))
  const path = `/organizations/${me.organization.id}/service-accounts/${me.account.id}/tokens/${me.token.id}`
  expect((await server.api('DELETE', path)).status).toBe(204)
  expectProblem(await server.api('GET', '/me'), 401, 'token_invalid')
})
