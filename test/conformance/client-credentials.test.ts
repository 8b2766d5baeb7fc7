import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parseBasic } from '../../src/http/authorization.ts'
import { type ApiToken, basic, createApiToken, forgeApiToken } from '../support/api-tokens.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor } from './support.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let server: TestServer
let fixture: Fixture
let apiToken: ApiToken

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
  apiToken = await createApiToken(server, fixture)
})
afterAll(() => server.close())

type Headers = Record<string, string>
type Send = (form: Record<string, string>, headers?: Headers) => Promise<Answer>

/** A request that is good but for its client authentication. */
const ENDPOINTS: [name: string, send: Send][] = [
  [
    'token',
    async (form, headers) =>
      server.post(
        '/oauth/token',
        { grant_type: JWT_BEARER, assertion: await fixture.assertion(), ...form },
        headers,
      ),
  ],
  ['introspection', (form, headers) => server.post('/oauth/introspect', { token: 'x', ...form }, headers)],
]

/** The endpoints take secrets of different clients: here of resource servers, there of accounts. */
function introspectAs(authorization: string, form: Record<string, string> = {}): Promise<Answer> {
  return server.post('/oauth/introspect', { token: 'x', ...form }, { authorization })
}

function requestTokenAs(authorization: string, form: Record<string, string> = {}): Promise<Answer> {
  return server.post('/oauth/token', { grant_type: 'client_credentials', ...form }, { authorization })
}

/** A client of each endpoint, and a request as it. */
const CLIENTS: [
  name: string,
  client: () => { id: string; secret: string },
  send: (authorization: string, form?: Record<string, string>) => Promise<Answer>,
][] = [
  ['introspection', () => fixture.resourceServer, introspectAs],
  ['token', () => ({ id: fixture.accountId, secret: apiToken.token }), requestTokenAs],
]

/** What oauth4webapi does: everything but letters and digits becomes a percent-sequence. */
function encodeAll(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9]/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
}

test.each(ENDPOINTS)(
  '[6749-2.3-1][7521-4.2.1] two ways of client authentication at the %s endpoint are refused',
  async (_name, send) => {
    const authorization = fixture.resourceServer.authorization
    const secret = { client_secret: fixture.resourceServer.secret }
    const assertion = { client_assertion_type: ASSERTION_TYPE, client_assertion: await fixture.assertion() }
    for (const answer of [
      await expectNothingIssued(server, () => send(secret, { authorization })),
      await expectNothingIssued(server, () => send(assertion, { authorization })),
      await expectNothingIssued(server, () => send({ ...secret, ...assertion })),
      await expectNothingIssued(server, () => send({ ...secret, ...assertion }, { authorization })),
    ]) {
      await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'credentials_ambiguous' })
    }
  },
)

test('[6749-2.3-2] the secret of a resource server is refused in the body at both endpoints', async () => {
  const credentials = {
    client_id: fixture.resourceServer.id,
    client_secret: fixture.resourceServer.secret,
  }
  for (const [name, send] of ENDPOINTS) {
    const answer = await expectNothingIssued(server, () => send(credentials))
    await expectRefusalFor(server, answer, {
      status: name === 'token' ? 400 : 401,
      error: 'invalid_client',
      reason: 'credentials_invalid',
    })
  }
})

test('[6749-2.3.1-8] a secret in the body is taken where the metadata says so, and nowhere else', async () => {
  const metadata = (await toAnswer(await fetch(`${server.url}/.well-known/oauth-authorization-server`))).body
  expect(metadata.token_endpoint_auth_methods_supported).toContain('client_secret_post')
  expect(metadata.introspection_endpoint_auth_methods_supported).not.toContain('client_secret_post')
  const credentials = { client_id: fixture.accountId, client_secret: apiToken.token }
  const answer = await server.post('/oauth/token', { grant_type: 'client_credentials', ...credentials })
  expect(answer.status).toBe(200)
  expect((await server.post('/oauth/introspect', { token: 'x', ...credentials })).status).toBe(401)
})

test('[6749-2.3-2] an account without an API token, or whose organization forbids them, has no secret', async () => {
  const other = await server.createFixture()
  await expectRefusalFor(server, await requestTokenAs(basic(other.accountId, apiToken.token)), {
    status: 401,
    error: 'invalid_client',
    reason: 'credentials_invalid',
  })
  const { authorization } = await createApiToken(server, other)
  expect((await requestTokenAs(authorization)).status).toBe(200)
  const forbid = { settings: { allow_api_tokens: false } }
  await must(server.api('PATCH', `/organizations/${other.organizationId}`, forbid))
  await expectRefusalFor(server, await requestTokenAs(authorization), {
    status: 401,
    error: 'invalid_client',
    reason: 'credentials_invalid',
  })
})

test.each<[string, Record<string, string>]>([
  ['no credentials', {}],
  ['a client_id alone', { client_id: 'acc_x' }],
  ['a client_id and an empty secret', { client_id: 'acc_x', client_secret: '' }],
])('[6749-4.4-1] client_credentials needs an authenticated client: %s', async (_name, form) => {
  const answer = await expectNothingIssued(server, () =>
    server.post('/oauth/token', { grant_type: 'client_credentials', ...form }),
  )
  await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'credentials_missing' })
})

test('[6749-4.4-1][6749-4.4-2] client_credentials gives an authenticated client a token, and no refresh token', async () => {
  const answer = await requestTokenAs(apiToken.authorization)
  expect(answer.status).toBe(200)
  expect(Object.keys(answer.body).sort()).toEqual(['access_token', 'expires_in', 'scope', 'token_type'])
})

test.each<[string, () => [Record<string, string>, Record<string, string>]]>([
  ['a Basic header', () => [{}, { authorization: basic(fixture.accountId, forgeApiToken(apiToken.keyId)) }]],
  ['the body', () => [{ client_id: fixture.accountId, client_secret: forgeApiToken(apiToken.keyId) }, {}]],
])(
  '[7523-3.1-2] a wrong secret in %s beside a good assertion is invalid_client, and burns no jti',
  async (_name, credentials) => {
    const assertion = await fixture.assertion()
    const [form, headers] = credentials()
    const good = { grant_type: JWT_BEARER, assertion }
    const answer = await expectNothingIssued(server, () =>
      server.post('/oauth/token', { ...good, ...form }, headers),
    )
    const status = headers.authorization === undefined ? 400 : 401
    await expectRefusalFor(server, answer, { status, error: 'invalid_client', reason: 'credentials_invalid' })
    expect((await server.post('/oauth/token', good)).status).toBe(200)
  },
)

test('[6749-2.3-2] the secret of anybody but an account is refused at the token endpoint', async () => {
  for (const authorization of [fixture.resourceServer.authorization, basic(fixture.accountId, 'secret')]) {
    const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion() }
    const answer = await expectNothingIssued(server, () =>
      server.post('/oauth/token', form, { authorization }),
    )
    await expectRefusalFor(server, answer, {
      status: 401,
      error: 'invalid_client',
      reason: 'credentials_invalid',
    })
  }
})

test.each(ENDPOINTS)(
  '[7521-4.2-3] client_assertion and its type go together at the %s endpoint',
  async (_name, send) => {
    for (const form of [
      { client_assertion: await fixture.assertion() },
      { client_assertion_type: ASSERTION_TYPE },
      { client_assertion: await fixture.assertion(), client_assertion_type: '' },
    ]) {
      const answer = await expectNothingIssued(server, () => send(form))
      await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'parameter_missing' })
    }
  },
)

test.each([
  'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
  'foo',
  JWT_BEARER,
  ASSERTION_TYPE.toUpperCase(),
])('[7521-4.2-4] the client assertion type %s is not known', async (type) => {
  for (const [, send] of ENDPOINTS) {
    const form = { client_assertion: await fixture.assertion(), client_assertion_type: type }
    const answer = await expectNothingIssued(server, () => send(form))
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'request_malformed' })
  }
})

test('[7521-4.2.1] an invalid client assertion is refused as invalid_client', async () => {
  const grant = await fixture.assertion()
  for (const [name, send] of ENDPOINTS) {
    for (const [value, reason] of [
      [grant, name === 'token' ? 'audience_mismatch' : 'issuer_unknown'],
      ['x.y.z', 'assertion_malformed'],
      [`${grant} ${grant}`, 'assertion_malformed'],
    ] as const) {
      const form = { client_assertion_type: ASSERTION_TYPE, client_assertion: value }
      const answer = await expectNothingIssued(server, () => send(form))
      await expectRefusalFor(server, answer, {
        status: name === 'token' ? 400 : 401,
        error: 'invalid_client',
        reason,
      })
    }
  }
})

test.each(CLIENTS)(
  '[6749-2.3.1-1] user name and password of Basic are form-decoded after base64, at the %s endpoint',
  async (_name, client, send) => {
    expect(parseBasic(`Basic ${btoa('c+id%3A1:s%2Be%3Ac+ret')}`)).toEqual({
      id: 'c id:1',
      secret: 's+e:c ret',
    })
    const { id, secret } = client()
    expect((await send(basic(encodeAll(id), encodeAll(secret)))).status).toBe(200)
  },
)

test.each(CLIENTS)(
  '[6749-2.3.1-2] ids and secrets of the %s endpoint need no encoding, so clients that do not encode work as well',
  async (_name, client, send) => {
    const { id, secret } = client()
    for (const text of [id, secret]) expect(text).toMatch(/^[A-Za-z0-9_-]+$/)
    for (const authorization of [
      basic(id, secret),
      basic(encodeURIComponent(id), encodeURIComponent(secret)),
    ]) {
      expect((await send(authorization)).status).toBe(200)
    }
  },
)

test.each<[string, () => string]>([
  ['is not base64', () => 'Basic ***'],
  ['is missing', () => 'Basic'],
  ['has no colon', () => `Basic ${btoa(fixture.resourceServer.id)}`],
  ['has no password', () => basic(fixture.resourceServer.id, '')],
  ['has no user name', () => basic('', fixture.resourceServer.secret)],
  ['has a broken percent-sequence', () => basic(fixture.resourceServer.id, '%zz')],
  ['has a percent-sequence that is not UTF-8', () => basic(fixture.resourceServer.id, '%ff')],
  ['has NUL', () => basic(`${fixture.resourceServer.id}%00`, 'x')],
  ['is followed by more', () => `${fixture.resourceServer.authorization} x`],
])(
  '[6749-2.3.1-3][6749-5.2-2] a Basic header that %s gets 401 and a challenge',
  async (_name, authorization) => {
    for (const [, , send] of CLIENTS) {
      const answer = await send(authorization())
      await expectRefusalFor(server, answer, {
        status: 401,
        error: 'invalid_client',
        reason: 'credentials_malformed',
      })
      expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm="[^"\\]+"/)
    }
  },
)

test('[6749-2.3.1-4] the scheme may be written in any case', async () => {
  for (const scheme of ['bAsIc', 'BASIC', 'basic']) {
    for (const [, client, send] of CLIENTS) {
      const { id, secret } = client()
      expect((await send(basic(id, secret).replace('Basic', scheme))).status).toBe(200)
    }
  }
})

test('[6749-2.3.1-5] credentials in the query are not used and not logged', async () => {
  const { id, secret } = fixture.resourceServer
  const query = new URLSearchParams({ client_id: id, client_secret: secret, foo: 'query-canary' })
  const refused = await server.post(`/oauth/introspect?${query}`, { token: 'x' })
  await expectRefusalFor(server, refused, { error: 'invalid_client', reason: 'credentials_missing' })
  const own = new URLSearchParams({ client_id: fixture.accountId, client_secret: apiToken.token })
  const unauthenticated = await server.post(`/oauth/token?${own}`, { grant_type: 'client_credentials' })
  await expectRefusalFor(server, unauthenticated, { error: 'invalid_client', reason: 'credentials_missing' })
  const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion() }
  expect((await server.post(`/oauth/token?${query}`, form)).status).toBe(200)
  const log = JSON.stringify(server.logs())
  expect(log).not.toContain('query-canary')
  expect(log).not.toContain(secret)
  expect(log).not.toContain(apiToken.token)
})

test('[6749-2.3.1-6] a client_id that is not the authenticated one is refused', async () => {
  const { authorization, id } = fixture.resourceServer
  const other = await server.createFixture()
  const answer = await introspectAs(authorization, { client_id: other.resourceServer.id })
  await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'request_malformed' })
  expect((await introspectAs(authorization, { client_id: id })).status).toBe(200)

  const mixed = await expectNothingIssued(server, () =>
    requestTokenAs(apiToken.authorization, { client_id: other.accountId }),
  )
  await expectRefusalFor(server, mixed, { error: 'invalid_request', reason: 'request_malformed' })
  for (const own of [fixture.accountId, fixture.accountEmail])
    expect((await requestTokenAs(apiToken.authorization, { client_id: own })).status).toBe(200)
})

// Last: from now on wrong credentials from this address are answered 429 for a minute.
test.each(CLIENTS)(
  '[6749-2.3.1-7] guessing secrets at the %s endpoint is slowed down, whoever is guessed at',
  async (_name, client, send) => {
    const { id, secret } = client()
    const wrongSecret = await send(basic(id, 'wrong'))
    const unknownClient = await send(basic(`${id.split('_')[0]}_nobody`, 'wrong'))
    for (const answer of [wrongSecret, unknownClient]) {
      await expectRefusalFor(server, answer, {
        status: 401,
        error: 'invalid_client',
        reason: 'credentials_invalid',
      })
    }
    expect(unknownClient.text).toBe(wrongSecret.text)

    const statuses = new Map<number, number>()
    for (let round = 0; round < 50; round++) {
      const guesses = Array.from({ length: 20 }, (_, index) => send(basic(id, `wrong-${round}-${index}`)))
      for (const { status } of await Promise.all(guesses)) {
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }
    expect([...statuses.keys()].sort()).toEqual([401, 429])
    expect(statuses.get(401)).toBeLessThan(100)

    const throttled = await send(basic(id, 'wrong'))
    await expectRefusalFor(server, throttled, {
      status: 429,
      error: 'temporarily_unavailable',
      reason: 'too_many_requests',
    })
    expect(Number(throttled.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)

    // Behind one address there may be many callers: a guesser must not close the endpoint to the honest ones.
    expect((await send(basic(id, secret))).status).toBe(200)
  },
)
