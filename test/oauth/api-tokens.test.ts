import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type ApiToken, createApiToken, forgeApiToken } from '../support/api-tokens.ts'
import { managementServerId, request } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

const INACTIVE = { active: false }

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

/** An organization of its own, so that what a test ends concerns nobody else. */
async function createOwn(): Promise<{ own: Fixture; apiToken: ApiToken; organization: string }> {
  const own = await server.createFixture()
  return {
    own,
    apiToken: await createApiToken(server, own),
    organization: `/organizations/${own.organizationId}`,
  }
}

async function countLookups(): Promise<number> {
  const text = await server.metrics.registry.metrics()
  return Number(/countersign_batch_items_count\{statement="find_api_tokens"\} (\d+)/.exec(text)?.[1] ?? 0)
}

describe('as Bearer at a resource server', () => {
  test('it is introspected: the account, and what it may do there', async () => {
    const apiToken = await createApiToken(server, fixture)
    const answer = await fixture.introspect(apiToken.token)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const issuedAt = Math.floor(Date.parse(String(apiToken.key.created_at)) / 1000)
    expect(answer.body).toEqual({
      active: true,
      scope: 'read write',
      client_id: fixture.accountId,
      username: expect.stringMatching(/^Account /),
      token_type: 'Bearer',
      iat: issuedAt,
      nbf: issuedAt,
      sub: fixture.accountId,
      aud: fixture.resourceServer.identifier,
      iss: server.issuer,
      jti: apiToken.keyId,
      organization_id: fixture.organizationId,
      key_id: apiToken.keyId,
      roles: [],
      groups: [],
      groups_administrator: null,
    })
  })

  test('with an expiry the answer says when it ends, and then it has ended', async () => {
    const expiresAt = new Date(server.clock.now() + 3_600_000)
    const apiToken = await createApiToken(server, fixture, { expires_at: expiresAt.toISOString() })
    const { body } = await fixture.introspect(apiToken.token)
    expect(body.exp).toBe(Math.floor(expiresAt.getTime() / 1000))
    server.clock.advance(3601)
    expect((await fixture.introspect(apiToken.token)).body).toEqual(INACTIVE)
    expect((await apiToken.requestToken()).body.error).toBe('invalid_client')
    expect((await must(server.api('GET', apiToken.keyPath))).status).toBe('expired')
  })

  test('where the account may do nothing it is not active, and what is withdrawn is gone at once', async () => {
    const { own, apiToken } = await createOwn()
    expect((await fixture.introspect(apiToken.token)).body).toEqual(INACTIVE)
    const permission = (name: string) => ({ resource_server_id: own.resourceServer.id, permission: name })
    await must(server.api('PATCH', own.accountPath, { permissions: [permission('write')] }))
    expect((await own.introspect(apiToken.token)).body.scope).toBe('write')
    await must(server.api('PATCH', own.accountPath, { permissions: [] }))
    expect((await own.introspect(apiToken.token)).body).toEqual(INACTIVE)
  })

  test('a role gives it scope, and groups are told', async () => {
    const { own, apiToken, organization } = await createOwn()
    const role = await must(
      server.api('POST', `${organization}/roles`, {
        name: 'Admins',
        permissions: [
          { resource_server_id: own.resourceServer.id, permission: 'admin' },
          { resource_server_id: own.resourceServer.id, permission: 'read' },
        ],
      }),
    )
    const group = await must(server.api('POST', `${organization}/groups`, { name: 'Oslo' }))
    await must(
      server.api('PATCH', own.accountPath, {
        role_ids: [role.id],
        group_access: [{ group_id: group.id, access: 'viewer' }],
      }),
    )
    expect((await own.introspect(apiToken.token)).body).toMatchObject({
      scope: 'admin read write',
      roles: ['Admins'],
      groups: [{ id: group.id, name: 'Oslo', access: 'viewer' }],
    })
  })

  test('an account may not authorize introspection with it', async () => {
    const apiToken = await createApiToken(server, fixture)
    const answer = await server.post(
      '/oauth/introspect',
      { token: await fixture.getToken() },
      { authorization: `Bearer ${apiToken.token}` },
    )
    expect(answer.status).toBe(401)
  })
})

describe('it ends, and every node says so', () => {
  test.each<[string, (own: Fixture, keyPath: string, organization: string) => [string, string, unknown?][]]>([
    ['the key is disabled', (_own, keyPath) => [['PATCH', keyPath, { status: 'disabled' }]]],
    ['the key is revoked', (_own, keyPath) => [['DELETE', keyPath]]],
    ['the account is disabled', (own) => [['PATCH', own.accountPath, { status: 'disabled' }]]],
    ['the account is deleted', (own) => [['DELETE', own.accountPath]]],
    [
      'the organization is disabled',
      (_own, _key, organization) => [['PATCH', organization, { status: 'disabled' }]],
    ],
    [
      'the organization forbids API tokens',
      (_own, _key, organization) => [['PATCH', organization, { settings: { allow_api_tokens: false } }]],
    ],
  ])('when %s', async (_name, changes) => {
    const { own, apiToken, organization } = await createOwn()
    await using other = await startNode()
    const accessToken = (await must(apiToken.requestToken())).access_token
    for (const token of [apiToken.token, accessToken])
      expect((await own.introspect(token)).body.active).toBe(true)

    for (const [method, path, body] of changes(own, apiToken.keyPath, organization))
      await must(server.api(method, path, body))
    for (const node of [server, other.node]) {
      for (const token of [apiToken.token, accessToken]) {
        const { authorization } = own.resourceServer
        const answer = await node.post('/oauth/introspect', { token }, { authorization })
        expect(answer.text).toBe('{"active":false}')
      }
      const refused = await apiToken.requestToken({}, node)
      expect([refused.status, refused.body.error]).toEqual([401, 'invalid_client'])
      expect((await me(apiToken.token, node)).status).toBe(401)
    }
  })

  test('allowed again it is good again, what it had obtained is not, and other keys were never touched', async () => {
    const { own, apiToken, organization } = await createOwn()
    const byApiToken = (await must(apiToken.requestToken())).access_token
    const byAssertion = await own.getToken()
    await must(server.api('PATCH', organization, { settings: { allow_api_tokens: false } }))
    expect((await own.introspect(byAssertion)).body.active).toBe(true)
    await must(server.api('PATCH', organization, { settings: { allow_api_tokens: true } }))
    expect((await own.introspect(apiToken.token)).body.active).toBe(true)
    expect((await own.introspect(byApiToken)).body).toEqual(INACTIVE)
    expect((await own.introspect(byAssertion)).body.active).toBe(true)
  })

  test('disabled and enabled again it is good again', async () => {
    const { own, apiToken } = await createOwn()
    for (const status of ['disabled', 'active'] as const) {
      await must(server.api('PATCH', apiToken.keyPath, { status }))
      expect((await own.introspect(apiToken.token)).body.active).toBe(status === 'active')
    }
  })
})

describe('what is no API token', () => {
  test('a mistyped one costs no look-up, at any door', async () => {
    const { token } = await createApiToken(server, fixture)
    const wrong = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A')
    const before = await countLookups()
    for (const text of [wrong, token.slice(0, -7), 'csk_', `${token}A`]) {
      expect((await fixture.introspect(text)).body).toEqual(INACTIVE)
      expect((await me(text)).status).toBe(401)
    }
    expect(await countLookups()).toBe(before)
  })

  test('a well-formed one that was never given out is inactive, whichever key it names', async () => {
    const { keyId } = await createApiToken(server, fixture)
    for (const id of [keyId, fixture.keyId, `key_${'0'.repeat(36)}`])
      expect((await fixture.introspect(forgeApiToken(id))).body).toEqual(INACTIVE)
  })

  test('nothing is signed with it: an assertion cannot name it, and it is not tried', async () => {
    const { keyId, own } = await createApiToken(server, fixture).then((made) => ({ ...made, own: fixture }))
    const named = await own.requestToken({ assertion: await own.assertion({}, { kid: keyId }) })
    expect([named.status, named.body.error]).toEqual([400, 'invalid_grant'])
    for (let count = 0; count < 6; count++) await createApiToken(server, own).catch(() => undefined)
    expect((await own.requestToken({ assertion: await own.assertion({}, { kid: undefined }) })).status).toBe(
      200,
    )
  })
})

describe('as Bearer at the management API', () => {
  test('it may do what its account may there, and the trail names the account', async () => {
    const { own, apiToken, organization } = await createOwn()
    expect((await me(apiToken.token)).status).toBe(401)
    await givePermissions(own, ['service_accounts:read', 'groups:manage'])
    const { status, body } = await me(apiToken.token)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      account: { id: own.accountId },
      permissions: ['groups:manage', 'service_accounts:read'],
      token: { id: null, key_id: apiToken.keyId, expires_at: null },
    })
    const call = (method: string, path: string, sent?: unknown) =>
      request(server, method, path, { token: apiToken.token, body: sent })
    expect((await call('GET', `${organization}/service-accounts`)).status).toBe(200)
    expect((await call('POST', `${organization}/service-accounts`, { name: 'x' })).status).toBe(403)
    const group = await must(call('POST', `${organization}/groups`, { name: 'Oslo' }))
    const events = await must(server.api('GET', `${organization}/audit-events?target=${group.id}`))
    expect(events.items[0]).toMatchObject({ action: 'group.created', actor: { id: own.accountId } })
  })

  test('it makes no key of an account that may do more', async () => {
    const { own, organization } = await createOwn()
    const weak = await must(server.api('POST', `${organization}/service-accounts`, { name: 'weak' }))
    const accountPath = `${organization}/service-accounts/${weak.id}`
    const weakToken = await createApiToken(server, { accountPath, accountId: weak.id })
    await givePermissions({ ...own, accountPath }, ['service_accounts:manage'])
    const answer = await request(server, 'POST', `${own.accountPath}/keys`, {
      token: weakToken.token,
      body: { type: 'api_token' },
    })
    expect([answer.status, answer.body.code]).toEqual([403, 'permission_not_held'])
  })

  test('its use is noted with address and program, at most once a minute', async () => {
    const { own, apiToken } = await createOwn()
    await givePermissions(own, ['service_accounts:read'])
    const use = () =>
      must(request(server, 'GET', '/me', { token: apiToken.token, headers: { 'user-agent': 'x/1' } }))
    const lastUse = async () =>
      (await must(server.api('GET', apiToken.keyPath))) as Record<string, string | null>
    expect((await lastUse()).last_used_at).toBeNull()
    await use()
    const first = await lastUse()
    expect(first).toMatchObject({ last_used_at: expect.any(String), last_used_ip: '127.0.0.1' })
    await use()
    expect((await lastUse()).last_used_at).toBe(first.last_used_at)
    server.clock.advance(61)
    await own.introspect(apiToken.token)
    const second = await lastUse()
    expect(Date.parse(String(second.last_used_at))).toBeGreaterThan(Date.parse(String(first.last_used_at)))
    expect(second.last_used_ip).toBeNull()
  })

  test('a wrong secret for a key notes nothing', async () => {
    const { own, apiToken } = await createOwn()
    await own.introspect(forgeApiToken(apiToken.keyId))
    await me(forgeApiToken(apiToken.keyId))
    expect((await must(server.api('GET', apiToken.keyPath))).last_used_at).toBeNull()
  })
})

function me(token: string, on: TestServer = server) {
  return request(on, 'GET', '/me', { token })
}

async function givePermissions(account: Pick<Fixture, 'accountPath'>, names: string[]): Promise<void> {
  const management = await managementServerId(server)
  const { permissions } = await must(server.api('GET', account.accountPath))
  const added = names.map((permission) => ({ resource_server_id: management, permission }))
  await must(server.api('PATCH', account.accountPath, { permissions: [...permissions, ...added] }))
}

/** A second node of the installation, for the time of a test. */
async function startNode() {
  const { connection, clock, issuer } = server
  const node = await startTestServer({ connection, clock, issuer })
  return { node, [Symbol.asyncDispose]: () => node.close() }
}
