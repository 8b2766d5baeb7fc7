import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { decode } from '../support/jwt.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.close())

describe.each(['jwt', 'opaque'] as const)('a live %s token', (tokenFormat) => {
  let fixture: Fixture
  let token: string

  beforeAll(async () => {
    fixture = await server.createFixture({ algorithm: 'ES256', tokenFormat })
    token = await fixture.getToken()
  })

  test('[7662-2.2-1][7662-2.2-11] is answered active, as JSON, and never cached', async () => {
    const { status, headers, body } = await fixture.introspect(token)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^application\/json(; charset=utf-8)?$/)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('pragma')).toBe('no-cache')
    expect(body.active).toBe(true)
  })

  test('[7662-2.2-2][7662-2.2-4] is answered with exactly the members that are documented', async () => {
    const now = Math.floor(server.clock.now() / 1000)
    const { body } = await fixture.introspect(await fixture.getToken())
    const account = await must(server.api('GET', fixture.accountPath))
    expect(body).toEqual({
      active: true,
      scope: 'read write',
      client_id: fixture.accountId,
      username: account.name,
      token_type: 'Bearer',
      exp: expect.any(Number),
      iat: expect.any(Number),
      nbf: body.iat,
      sub: fixture.accountId,
      aud: fixture.resourceServer.identifier,
      iss: server.issuer,
      jti: expect.stringMatching(/^tok_/),
      organization_id: fixture.organizationId,
      key_id: fixture.keyId,
      roles: [],
      groups: [],
      groups_administrator: null,
    })
    expect(body.exp - body.iat).toBe(900)
    expect(body.iat - now).toBeLessThanOrEqual(1)
  })

  test('[7662-2.2-3] has whole seconds for times', async () => {
    const { body } = await fixture.introspect(token)
    for (const time of [body.exp, body.iat, body.nbf]) expect(Number.isSafeInteger(time)).toBe(true)
    expect(body.exp).toBeGreaterThan(server.clock.now() / 1000)
    expect(body.exp).toBeLessThan(server.clock.now() / 1000 + 86_401)
  })

  test('[7662-2.2-4] has only the scope that was asked for, as one text', async () => {
    const narrow = await fixture.getToken({ scope: 'write' })
    expect((await fixture.introspect(narrow)).body.scope).toBe('write')
  })

  test('[7662-2.2-8] is not active for a resource server that is not its audience', async () => {
    const other = await server.createFixture({ algorithm: 'ES256', tokenFormat })
    expect((await other.introspect(token)).text).toBe('{"active":false}')
  })
})

test('[7662-2.2-3][7662-2.2-5] a JWT and its introspection say the same', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  const token = await fixture.getToken()
  const { claims } = decode(token)
  expect((await fixture.introspect(token)).body).toMatchObject(claims)
})

test('[7662-2.2-9] each of two resource servers sees its own audience and scope, and nothing of the other’s', async () => {
  const first = await server.createFixture({ algorithm: 'ES256' })
  const second = await server.createFixture({ algorithm: 'ES256' })
  await must(
    server.api('PATCH', first.accountPath, {
      permissions: [
        { resource_server_id: first.resourceServer.id, permission: 'read' },
        { resource_server_id: second.resourceServer.id, permission: 'write' },
      ],
    }),
  )
  for (const [fixture, other, scope] of [
    [first, second, 'read'],
    [second, first, 'write'],
  ] as const) {
    const token = await first.getToken({ resource: fixture.resourceServer.identifier })
    const { body } = await fixture.introspect(token)
    expect(body).toMatchObject({ active: true, aud: fixture.resourceServer.identifier, scope })
    expect((await other.introspect(token)).body).toEqual({ active: false })
  }
})

test('[7662-2.2-2] the scope shrinks at once when a permission is taken away', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  const token = await fixture.getToken()
  const permissions = [{ resource_server_id: fixture.resourceServer.id, permission: 'write' }]
  await must(server.api('PATCH', fixture.accountPath, { permissions }))
  expect((await fixture.introspect(token)).body).toMatchObject({ active: true, scope: 'write' })
})
