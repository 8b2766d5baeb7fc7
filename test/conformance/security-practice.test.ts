import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parseConfig } from '../../src/config.ts'
import { createApiToken } from '../support/api-tokens.ts'
import { decode } from '../support/jwt.ts'
import { sendRaw } from '../support/raw-request.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusal, expectRefusalFor, findLogLine } from './support.ts'

const FORM = 'application/x-www-form-urlencoded'
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const PROXY_ISSUER = 'https://id.example.test'

let server: TestServer
/** The same behind a proxy that ends TLS and is trusted. */
let proxied: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  proxied = await startTestServer({ issuer: PROXY_ISSUER, trustedProxies: ['loopback'] })
  fixture = await server.createFixture()
})
afterAll(async () => {
  await server.close()
  await proxied.close()
})

async function tokenForm(by: Fixture): Promise<Record<string, string>> {
  return { grant_type: JWT_BEARER, assertion: await by.assertion() }
}

test('[6749-3.2-16] in production the issuer must be https, and with it every endpoint is', async () => {
  const production = { NODE_ENV: 'production', COUNTERSIGN_KEY_ENCRYPTION_KEY: btoa('k'.repeat(32)) }
  expect(() => parseConfig({ ...production, COUNTERSIGN_ISSUER: 'http://id.example.test' })).toThrow(
    /COUNTERSIGN_ISSUER must be https/,
  )
  const metadata = await readMetadata(proxied)
  for (const name of ['issuer', 'token_endpoint', 'introspection_endpoint', 'jwks_uri']) {
    expect(metadata[name]).toMatch(/^https:\/\/id\.example\.test/)
  }
})

test('[6749-3.2-16] what the proxy says came without TLS is refused, not redirected, with a good assertion too', async () => {
  const account = await proxied.createFixture()
  const send = async (protocol: string) =>
    proxied.post('/oauth/token', await tokenForm(account), { 'x-forwarded-proto': protocol })
  for (const protocol of ['http', 'HTTP', 'http, https']) {
    const answer = await expectNothingIssued(proxied, () => send(protocol))
    await expectRefusalFor(proxied, answer, { error: 'invalid_request', reason: 'request_malformed' })
    expect(answer.headers.has('location')).toBe(false)
  }
  const secure = await send('https')
  expect(secure.status).toBe(200)
  expect(secure.headers.get('strict-transport-security')).toMatch(/max-age=\d+/)
})

test.each(['/oauth/introspect', '/oauth/revoke'])(
  '[6749-3.2-16] %s is refused without TLS as well, before anybody looks at the credentials in it',
  async (path) => {
    const answer = await proxied.post(path, { token: 'x' }, { 'x-forwarded-proto': 'http' })
    await expectRefusalFor(proxied, answer, { error: 'invalid_request', reason: 'request_malformed' })
    const secure = await proxied.post(path, { token: 'x' }, { 'x-forwarded-proto': 'https' })
    expect(secure.body).toMatchObject({ error: 'invalid_client' })
  },
)

test('[9700-2.3-1] every access token is for exactly one audience', async () => {
  const opaque = await server.createFixture({ tokenFormat: 'opaque' })
  for (const by of [fixture, opaque]) {
    const token = await by.getToken()
    expect((await by.introspect(token)).body.aud).toBe(by.resourceServer.identifier)
    if (by === fixture) expect(decode(token).claims.aud).toBe(by.resourceServer.identifier)
  }
})

test('[9700-2.4] there is no password grant', async () => {
  const form = { grant_type: 'password', username: fixture.accountEmail, password: 'x' }
  const answer = await expectNothingIssued(server, () => server.post('/oauth/token', form))
  expectRefusal(answer, 400, 'unsupported_grant_type')
})

test('[9700-2.1.2] there is no authorization endpoint', async () => {
  for (const method of ['GET', 'POST']) {
    const path = '/oauth/authorize?response_type=token&client_id=x'
    expectRefusal(await sendRaw(server, { method, path }), 404, 'invalid_request')
  }
  const metadata = await readMetadata(server)
  expect(metadata).not.toHaveProperty('authorization_endpoint')
  expect(metadata.response_types_supported).toEqual(['none'])
})

test('[9700-2.5] a new account has no secret; one is made on request alone, where the organization allows it', async () => {
  const organization = `/organizations/${fixture.organizationId}`
  const path = `${organization}/service-accounts`
  const account = await must(server.api('POST', path, { name: 'New' }))
  const keys = `${path}/${account.id}/keys`
  expect((await must(server.api('GET', keys))).items).toEqual([])
  for (const type of ['secret', 'client_secret'])
    expect((await server.api('POST', keys, { type })).status).toBe(422)
  await must(server.api('PATCH', organization, { settings: { allow_api_tokens: false } }))
  expect((await server.api('POST', keys, { type: 'api_token' })).status).toBe(409)
  await must(server.api('PATCH', organization, { settings: { allow_api_tokens: true } }))
})

test('[9700-2.5] an API token, the secret of an account, is stored as a digest only', async () => {
  const { keyId, token } = await createApiToken(server, fixture)
  const { rows } = await server.connection.pool.query<{ digest: Buffer; text: string }>(
    'select secret_digest as digest, k::text as text from keys k where id = $1',
    [keyId],
  )
  expect(rows[0]?.digest.toString('hex')).toBe(createHash('sha256').update(token).digest('hex'))
  expect(rows[0]?.text).not.toContain(token.slice(40, 83))
})

test('[9700-2.5] the secret of a resource server is stored as a digest only', async () => {
  const { rows } = await server.connection.pool.query<{ digest: Buffer; text: string }>(
    'select digest, s::text as text from resource_server_secrets s where resource_server_id = $1',
    [fixture.resourceServer.id],
  )
  expect(rows.map((row) => row.digest.toString('hex'))).toEqual([
    createHash('sha256').update(fixture.resourceServer.secret).digest('hex'),
  ])
  expect(rows[0]?.text).not.toContain(fixture.resourceServer.secret)
})

test('[9700-2.6-1] the metadata is published', async () => {
  expect(await readMetadata(server)).toMatchObject({
    issuer: server.issuer,
    token_endpoint: server.tokenEndpoint,
    grant_types_supported: [JWT_BEARER, 'client_credentials'],
  })
})

test.each(['/oauth/token', '/oauth/introspect', '/api/v1/me', '/api/v1/organizations'])(
  '[9700-2.6-2] no script of another origin may use %s',
  async (path) => {
    const headers = {
      origin: 'https://evil.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization',
    }
    for (const method of ['OPTIONS', 'GET', 'POST']) {
      const answer = await sendRaw(server, { method, path, headers })
      expect(answer.status).toBeGreaterThanOrEqual(400)
      const names = [...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))
      expect(names).toEqual([])
    }
  },
)

test.each(['https://evil.example', 'null', 'http://localhost:3000'])(
  '[9700-2.6-2] the token endpoint refuses a browser at %s, with a good assertion too',
  async (origin) => {
    const answer = await expectNothingIssued(server, async () =>
      server.post('/oauth/token', await tokenForm(fixture), { origin }),
    )
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'origin_not_allowed' })
  },
)

test('[9700-4.9] a token that one resource server was given is worth nothing at another', async () => {
  const other = await server.createFixture()
  for (const token of [await fixture.getToken(), await (await opaqueFixture()).getToken()]) {
    expect((await other.introspect(token)).body).toEqual({ active: false })
    const response = await fetch(`${server.url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })
    expect(response.status).toBe(401)
  }
})

test('[9700-4.12] no OAuth endpoint redirects, whatever the request looks like', async () => {
  const body = new URLSearchParams(await tokenForm(fixture)).toString()
  for (const path of [
    '/oauth/token',
    '/oauth/introspect',
    '/oauth/token/',
    '//oauth/token',
    '/oauth',
    '/oauth/',
  ]) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS']) {
      const answer = await sendRaw(server, { method, path, headers: { 'content-type': FORM }, body })
      expect(answer.headers.has('location')).toBe(false)
      expect([200, 400, 404, 405]).toContain(answer.status)
    }
  }
})

/** What only a proxy may say, said by the client itself. */
const FORGED = {
  forwarded: 'for=203.0.113.7;proto=https;host=evil.example',
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-proto': 'http',
  'x-forwarded-host': 'evil.example',
  'x-real-ip': '203.0.113.7',
  'x-ssl-client-cert': 'forged',
  'x-ssl-client-verify': 'SUCCESS',
  'client-cert': ':Zm9yZ2Vk:',
  host: 'evil.example',
}

test('[9700-4.13] headers of a proxy mean nothing when a client sends them: address, issuer and audience stay', async () => {
  const body = new URLSearchParams(await tokenForm(fixture)).toString()
  const answer = await sendRaw(server, { headers: { ...FORGED, 'content-type': FORM }, body })
  expect(answer.status).toBe(200)
  expect(decode(answer.body.access_token).claims.iss).toBe(server.issuer)
  expect((await findLogLine(server, answer)).ip).toMatch(/^(::ffff:)?127\.0\.0\.1$/)

  const path = '/.well-known/oauth-authorization-server'
  const metadata = await sendRaw(server, { method: 'GET', path, headers: FORGED })
  expect(metadata.text).toBe(await (await fetch(server.url + path)).text())

  const assertion = await fixture.assertion({ aud: 'http://evil.example/oauth/token' })
  const forged = new URLSearchParams({ grant_type: JWT_BEARER, assertion }).toString()
  const refused = await sendRaw(server, { headers: { ...FORGED, 'content-type': FORM }, body: forged })
  await expectRefusalFor(server, refused, { error: 'invalid_grant', reason: 'audience_mismatch' })
})

test('[9700-4.13] the address that a trusted proxy names is the one that is kept, the client’s own claims before it are not', async () => {
  const answer = await proxied.post(
    '/oauth/token',
    { grant_type: JWT_BEARER },
    { 'x-forwarded-for': '203.0.113.7, 198.51.100.9', 'x-forwarded-proto': 'https' },
  )
  expect((await findLogLine(proxied, answer)).ip).toBe('198.51.100.9')
})

test('[9700-4.15] nobody chooses the id that tokens bear, nor an email that is taken or looks like another', async () => {
  const path = `/organizations/${fixture.organizationId}/service-accounts`
  const { slug } = await must(server.api('GET', fixture.accountPath))
  for (const member of ['id', 'client_id', 'sub', 'email']) {
    const answer = await server.api('POST', path, { name: 'A', [member]: fixture.accountId })
    expect(answer.status).toBe(422)
  }
  expect((await server.api('POST', path, { name: 'A', slug })).status).toBe(409)
  // Cyrillic a, a letter with an accent, a capital.
  for (const lookAlike of [
    `\u0430${slug.slice(1)}`,
    `á${slug.slice(1)}`,
    slug.toUpperCase(),
    `${slug}\u200b`,
  ]) {
    expect((await server.api('POST', path, { name: 'A', slug: lookAlike })).status).toBe(422)
  }
})

test('[9700-p1] assertions, tokens and secrets are in no log line, answer or metric', async () => {
  const assertion = await fixture.assertion()
  const token = (await fixture.requestToken({ assertion })).body.access_token
  const opaque = await opaqueFixture()
  const opaqueToken = await opaque.getToken()
  const { secret, authorization } = fixture.resourceServer
  const answers: Answer[] = [
    await fixture.requestToken({ assertion }),
    await fixture.requestToken({ assertion: token }),
    await fixture.requestToken({ assertion: opaqueToken }),
    await fixture.requestToken({ form: { scope: token, resource: assertion } }),
    await fixture.requestToken({ form: { resource: `https://h/${token}` } }),
    await fixture.requestToken({ form: { client_id: opaqueToken } }),
    await fixture.requestToken({ form: { grant_type: token } }),
    await fixture.requestToken({ form: { client_secret: secret } }),
    await fixture.requestToken({ assertion: await fixture.assertion({ sub: token, aud: assertion }) }),
    await server.post(`/oauth/token?assertion=${assertion}&client_secret=${secret}`, {}),
    await server.post(`/oauth/introspect?token=${opaqueToken}`, { token }, { authorization }),
    await server.post('/oauth/introspect', { token }, { authorization: `Bearer ${token}` }),
    await server.post('/oauth/introspect', { token: secret }, { authorization: authorization.slice(0, -1) }),
    await server.post(`/oauth/${token}`, {}),
    await sendRaw(server, { headers: { 'content-type': opaqueToken } }),
    await sendRaw(server, { headers: { 'user-agent': token, 'x-request-id': 'p1' } }),
  ]
  await findLogLine(server, answers.at(-1)!)
  const log = JSON.stringify(server.logs())
  const metrics = await server.metrics.registry.metrics()
  for (const value of [assertion, token, opaqueToken, secret, authorization]) {
    for (const text of [log, metrics, ...answers.map((answer) => answer.text)]) {
      expect(text.includes(value)).toBe(false)
    }
  }
})

// Last: from now on this server takes no credentials from this address for a minute.
test('[9700-4.13] a client cannot escape the throttle with addresses of its own making', async () => {
  const guess = (count: number) =>
    server.post(
      '/oauth/introspect',
      { token: 'x' },
      { authorization: `Basic ${btoa('rs_x:wrong')}`, 'x-forwarded-for': `203.0.113.${count}` },
    )
  const answers = await Promise.all(Array.from({ length: 61 }, (_, count) => guess(count)))
  expect(answers.every((answer) => answer.status === 401 || answer.status === 429)).toBe(true)
  expect((await guess(100)).status).toBe(429)
})

async function readMetadata(of: TestServer): Promise<Record<string, unknown>> {
  const response = await fetch(`${of.url}/.well-known/oauth-authorization-server`)
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}

function opaqueFixture(): Promise<Fixture> {
  return server.createFixture({ tokenFormat: 'opaque' })
}
