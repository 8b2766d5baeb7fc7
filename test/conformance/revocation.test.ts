import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type ApiToken, basic, createApiToken, forgeApiToken } from '../support/api-tokens.ts'
import { asClient, byAssertion, createCaller } from '../support/client-assertions.ts'
import { createKeyPair, decode, signCompact } from '../support/jwt.ts'
import { sendRaw } from '../support/raw-request.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'
import { expectRefusal, expectRefusalFor, findLogLine } from './support.ts'

const ENDPOINT = '/oauth/revoke'

let server: TestServer
/** A second application on the same database, as another node would be. */
let node: TestServer
let fixture: Fixture
let other: Fixture
let opaque: Fixture
let apiToken: ApiToken

beforeAll(async () => {
  server = await startTestServer()
  const { connection, clock, issuer } = server
  node = await startTestServer({ connection, clock, issuer })
  fixture = await server.createFixture({ algorithm: 'ES256' })
  other = await server.createFixture({ algorithm: 'ES256' })
  opaque = await server.createFixture({ algorithm: 'ES256', tokenFormat: 'opaque' })
  apiToken = await createApiToken(server, fixture)
})
afterAll(async () => {
  await node.close()
  await server.close()
})

type Form = Record<string, string>

/** A revocation request of the fixture's account, authenticated by its API token. */
function revoke(token: string, form: Form = {}, at: TestServer = server): Promise<Answer> {
  return at.post(ENDPOINT, { token, ...form }, { authorization: apiToken.authorization })
}

async function revokeAs(account: Fixture, token: string): Promise<Answer> {
  return server.post(ENDPOINT, { token, ...byAssertion(await asClient(server, account).assertion()) })
}

function expectRevoked(answer: Answer): void {
  expect({ status: answer.status, text: answer.text }).toEqual({ status: 200, text: '' })
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.headers.get('content-length')).toBe('0')
}

async function isActive(token: string, of: Fixture = fixture): Promise<boolean> {
  return (await of.introspect(token)).body.active
}

/** Events of the trail about a token. */
async function eventsOf(token: string): Promise<{ action: string; actor: { id: string } }[]> {
  const { jti } = decode(token).claims
  const path = `/organizations/${fixture.organizationId}/audit-events?target=${jti}&include_tokens=false`
  return (await must(server.api('GET', path))).items
}

describe('RFC 7009 §2: the request', () => {
  test.each(['GET', 'PUT', 'DELETE', 'PATCH'])(
    '[7009-2-1] %s is refused: tokens never travel in URLs',
    async (method) => {
      const token = await fixture.getToken()
      const answer = await toAnswer(
        await fetch(`${server.url}${ENDPOINT}?token=${token}`, {
          method,
          headers: { authorization: apiToken.authorization },
        }),
      )
      expectRefusal(answer, 405, 'invalid_request')
      expect(answer.headers.get('allow')).toBe('POST')
      expect(JSON.stringify(await findLogLine(server, answer))).not.toContain(token)
      expect(await isActive(token)).toBe(true)
    },
  )

  test('[7009-2-1] JSON is refused, and JSONP is not offered', async () => {
    const token = await fixture.getToken()
    const json = await sendRaw(server, {
      path: ENDPOINT,
      headers: { 'content-type': 'application/json', authorization: apiToken.authorization },
      body: JSON.stringify({ token }),
    })
    expectRefusal(json, 400, 'invalid_request')
    expect(await isActive(token)).toBe(true)
    expectRevoked(await revoke(token, { callback: 'package.setToken' }))
  })

  test('[7009-2.1-1] token is required', async () => {
    const headers = { authorization: apiToken.authorization }
    for (const form of [
      {},
      { token: '' },
      [
        ['token', 'a'],
        ['token', 'a'],
      ] as const,
    ]) {
      expectRefusal(await server.post(ENDPOINT, form as Form, headers), 400, 'invalid_request')
    }
    const token = await fixture.getToken()
    expectRefusal(await server.post(`${ENDPOINT}?token=${token}`, {}, headers), 400, 'invalid_request')
    expect(await isActive(token)).toBe(true)
  })

  test.each(['refresh_token', 'access_token', 'foo', ''])(
    '[7009-2.1-6] the hint «%s» changes nothing',
    async (hint) => {
      const token = await fixture.getToken()
      expectRevoked(await revoke(token, { token_type_hint: hint }))
      expect(await isActive(token)).toBe(false)
    },
  )

  test('[7009-2.1-7] a hint that is repeated is refused', async () => {
    const token = await fixture.getToken()
    const form = [
      ['token', token],
      ['token_type_hint', 'access_token'],
      ['token_type_hint', 'access_token'],
    ] as const
    const answer = await server.post(ENDPOINT, form, { authorization: apiToken.authorization })
    expectRefusal(answer, 400, 'invalid_request')
    expect(await isActive(token)).toBe(true)
  })
})

describe('RFC 7009 §2.1: the client', () => {
  test('[7009-2.1-2] who does not authenticate, or badly, hears the same of every token, and ends none', async () => {
    const tokens = [await fixture.getToken(), 'cst_unknown', await other.getToken()]
    const wrong = basic(fixture.accountId, forgeApiToken(apiToken.keyId))
    const attempts: [number, (token: string) => Promise<Answer>][] = [
      [400, (token) => server.post(ENDPOINT, { token })],
      [400, (token) => server.post(ENDPOINT, { token, client_id: fixture.accountId })],
      [401, (token) => server.post(ENDPOINT, { token }, { authorization: wrong })],
      [400, (token) => server.post(ENDPOINT, { token, client_id: fixture.accountId, client_secret: 'x' })],
      [400, (token) => server.post(ENDPOINT, { token, ...byAssertion('a.b.c') })],
      [401, (token) => server.post(ENDPOINT, { token }, { authorization: `Bearer ${token}` })],
    ]
    for (const [status, attempt] of attempts) {
      const answers = []
      for (const token of tokens) answers.push(await attempt(token))
      for (const answer of answers) expectRefusal(answer, status, 'invalid_client')
      expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
    }
    expect(await isActive(tokens[0]!)).toBe(true)
  })

  test('[7009-2.1-2] a resource server is no client: it cannot end tokens, not even those for it', async () => {
    const token = await fixture.getToken()
    const { id, authorization } = fixture.resourceServer
    const caller = await createCaller(server, id)
    expectRefusal(await server.post(ENDPOINT, { token }, { authorization }), 401, 'invalid_client')
    const signed = { token, ...byAssertion(await caller.assertion()) }
    expectRefusal(await server.post(ENDPOINT, signed), 400, 'invalid_client')
    expect(await isActive(token)).toBe(true)
  })

  test('[7009-2.1-3][7523-2.2-1] an account authenticates with an assertion, once', async () => {
    const assertion = await asClient(server, fixture).assertion()
    const [first, second] = [await fixture.getToken(), await fixture.getToken()]
    expectRevoked(await server.post(ENDPOINT, { token: first, ...byAssertion(assertion) }))
    const again = await server.post(ENDPOINT, { token: second, ...byAssertion(assertion) })
    await expectRefusalFor(server, again, { error: 'invalid_client', reason: 'assertion_replayed' })
    const asGrant = await server.post('/oauth/token', {
      grant_type: 'client_credentials',
      ...byAssertion(assertion),
    })
    await expectRefusalFor(server, asGrant, { error: 'invalid_client', reason: 'assertion_replayed' })
    expect([await isActive(first), await isActive(second)]).toEqual([false, true])
  })

  test('[7009-2.1-3] the use of the key is noted', async () => {
    const account = await server.createFixture({ algorithm: 'ES256' })
    expectRevoked(await revokeAs(account, 'cst_unknown'))
    const key = await must(server.api('GET', `${account.accountPath}/keys/${account.keyId}`))
    expect(key).toMatchObject({ last_used_at: expect.any(String), last_used_ip: '127.0.0.1' })
  })

  test.each([
    ['the token endpoint', 'token'],
    ['this endpoint', 'revoke'],
  ])('[bis-3][bis-7] an assertion for %s is refused here as well', async (_what, path) => {
    const aud = `${server.issuer}/oauth/${path}`
    const assertion = await asClient(server, fixture).assertion({ aud })
    const answer = await server.post(ENDPOINT, { token: 'x', ...byAssertion(assertion) })
    await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'audience_mismatch' })
  })

  test('[7009-2.1-2] the refusal stands in the trail of the account', async () => {
    const account = await server.createFixture({ algorithm: 'ES256' })
    const assertion = await asClient(server, account).assertion({ aud: server.tokenEndpoint })
    const answer = await server.post(ENDPOINT, { token: 'x', ...byAssertion(assertion) })
    const requestId = answer.headers.get('x-request-id')
    const path = `/organizations/${account.organizationId}/audit-events?request_id=${requestId}`
    let items: unknown[] = []
    for (let attempt = 0; items.length === 0 && attempt < 100; attempt++)
      items = (await must(server.api('GET', path))).items
    expect(items).toMatchObject([
      {
        action: 'token.revocation_refused',
        target: { id: account.accountId },
        reason: 'audience_mismatch',
      },
    ])
  })
})

describe('a token of the client', () => {
  test.each<[string, () => Fixture]>([
    ['JWT', () => fixture],
    ['opaque', () => opaque],
  ])('[7009-2.1-4] %s: it has ended everywhere once the call is answered', async (_format, of) => {
    const account = of()
    const [token, kept] = [await account.getToken(), await account.getToken()]
    expectRevoked(await revokeAs(account, token))
    for (const at of [server, node]) {
      const { authorization } = account.resourceServer
      const answer = await at.post('/oauth/introspect', { token }, { authorization })
      expect(answer.body).toEqual({ active: false })
    }
    expect(await isActive(kept, account)).toBe(true)
  })

  test('[7009-2.1-4] one for the management API opens it no more', async () => {
    const account = await server.createFixture({ algorithm: 'ES256' })
    const servers = (await must(server.api('GET', '/resource-servers'))).items
    const management = servers.find(({ built_in }: { built_in: boolean }) => built_in)
    await must(
      server.api('PATCH', account.accountPath, {
        permissions: [{ resource_server_id: management.id, permission: 'service_accounts:read' }],
      }),
    )
    const token = await account.getToken()
    const me = async () =>
      toAnswer(await fetch(`${server.url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } }))
    expect((await me()).status).toBe(200)
    expectRevoked(await revokeAs(account, token))
    const answer = await me()
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
  })

  test('[7009-2.1-4] one whose permissions are gone is ended for good, not for the time being', async () => {
    const account = await server.createFixture({ algorithm: 'ES256' })
    const token = await account.getToken()
    const { permissions } = await must(server.api('GET', account.accountPath))
    await must(server.api('PATCH', account.accountPath, { permissions: [] }))
    expect(await isActive(token, account)).toBe(false)
    expectRevoked(await revokeAs(account, token))
    await must(server.api('PATCH', account.accountPath, { permissions }))
    expect(await isActive(token, account)).toBe(false)
  })

  test('[7009-2.1-4] one that acts for an end user is its account’s', async () => {
    const account = await server.createFixture({ algorithm: 'ES256' })
    const { permissions } = await must(server.api('GET', account.accountPath))
    await must(
      server.api('PATCH', account.accountPath, { delegation: { subjects: ['user-*'], permissions } }),
    )
    const assertion = await account.assertion({ sub: 'user-1' })
    const token = (await account.requestToken({ assertion })).body.access_token
    expect(await isActive(token, account)).toBe(true)
    expectRevoked(await revokeAs(account, token))
    expect(await isActive(token, account)).toBe(false)
  })

  test('[7009-2.2-1][7009-2.2-6] ending it again changes nothing, and the trail says once who did it', async () => {
    const token = await fixture.getToken()
    expectRevoked(await revoke(token))
    expectRevoked(await revoke(token))
    expect(await eventsOf(token)).toMatchObject([
      { action: 'token.revoked', actor: { id: fixture.accountId, kind: 'service_account' } },
    ])
  })

  test('[7009-2.2-6] twenty revocations at once all succeed, and are one', async () => {
    const token = await fixture.getToken()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => revoke(token, {}, index % 2 === 0 ? server : node)),
    )
    for (const answer of answers) expectRevoked(answer)
    expect(await eventsOf(token)).toHaveLength(1)
    expect(await isActive(token)).toBe(false)
  })

  test('[7009-2.2-2] an API token is not revoked here, which is said: it is a key', async () => {
    const answer = await revoke(apiToken.token)
    await expectRefusalFor(server, answer, {
      error: 'unsupported_token_type',
      reason: 'token_type_unsupported',
    })
    expect((await revoke('cst_unknown')).status).toBe(200)
  })
})

describe('what is no token of the client', () => {
  test('[7009-2.1-5] a token of another account is refused, and stays', async () => {
    for (const account of [other, opaque]) {
      const token = await account.getToken()
      const answer = await revoke(token)
      await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'token_not_own' })
      expect(await isActive(token, account)).toBe(true)
    }
  })

  test('[7009-2.2-1] what is unknown or no token at all is answered like one that was ended', async () => {
    for (const token of [
      'x',
      'a.b.c',
      `cst_${'A'.repeat(43)}`,
      'csk_not_one',
      '{"token":"x"}',
      'x'.repeat(65_536),
      await fixture.assertion(),
    ]) {
      expectRevoked(await revoke(token))
    }
  })

  test('[7009-2.2-5] an expired token is answered so too', async () => {
    const [jwt, text] = [await fixture.getToken(), await opaque.getToken()]
    const foreign = await other.getToken()
    server.clock.advance(901)
    expectRevoked(await revoke(jwt))
    expectRevoked(await revokeAs(opaque, text))
    expectRevoked(await revoke(foreign))
    expect(await eventsOf(jwt)).toEqual([])
  })

  test('[7009-2.2-4] a forged JWT with the jti of a live token ends nothing', async () => {
    const token = await fixture.getToken()
    const { header, claims } = decode(token)
    const pair = await createKeyPair('ES256')
    const [head, , signature] = token.split('.')
    const changed = Buffer.from(JSON.stringify({ ...claims, scope: 'x' })).toString('base64url')
    for (const forged of [
      await signCompact(header, claims, pair.privateKey),
      await signCompact({ ...header, kid: fixture.keyId }, claims, fixture.keyPair.privateKey),
      await signCompact(header, { ...claims, iss: 'https://evil.example' }, pair.privateKey),
      `${head}.${changed}.${signature}`,
      `${head}.${token.split('.')[1]}.`,
    ]) {
      expectRevoked(await revoke(forged))
    }
    expect(await isActive(token)).toBe(true)
    expect(await eventsOf(token)).toEqual([])
  })
})

test('[7009-5] fishing for tokens is slowed down for whoever fishes, and each costs one read at most', async () => {
  const account = await server.createFixture({ algorithm: 'ES256' })
  const { authorization } = await createApiToken(server, account)
  const fish = () =>
    server.post(ENDPOINT, { token: `cst_${crypto.randomUUID().padEnd(43, 'A')}` }, { authorization })
  const statuses: number[] = []
  for (let round = 0; round < 40; round++)
    statuses.push(...(await Promise.all(Array.from({ length: 25 }, fish))).map(({ status }) => status))
  expect(statuses.filter((status) => status === 200)).toHaveLength(300)
  expect(statuses.filter((status) => status === 429)).toHaveLength(700)
  const throttled = await fish()
  expect(Number(throttled.headers.get('retry-after'))).toBeGreaterThan(0)

  const token = await account.getToken()
  expectRevoked(await server.post(ENDPOINT, { token }, { authorization }))
  expect(await isActive(token, account)).toBe(false)
  expectRevoked(await revoke('cst_unknown'))
})

test('[7009-meta] the metadata names the endpoint and how to authenticate there', async () => {
  const { body } = await toAnswer(await fetch(`${server.url}/.well-known/oauth-authorization-server`))
  expect(body).toMatchObject({
    revocation_endpoint: `${server.issuer}/oauth/revoke`,
    revocation_endpoint_auth_methods_supported: [
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
    ],
    revocation_endpoint_auth_signing_alg_values_supported: expect.arrayContaining(['ES256', 'EdDSA']),
  })
})
