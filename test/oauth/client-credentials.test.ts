import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { countGrants, expectNothingIssued, expectRefusal, expectRefusalFor } from '../conformance/support.ts'
import { type ApiToken, basic, createApiToken, forgeApiToken } from '../support/api-tokens.ts'
import { asClient, byAssertion } from '../support/client-assertions.ts'
import { decode } from '../support/jwt.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const CLIENT_CREDENTIALS = { grant_type: 'client_credentials' }

let server: TestServer
let fixture: Fixture
let apiToken: ApiToken

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
  apiToken = await createApiToken(server, fixture)
})
afterAll(() => server.close())

/** What oauth4webapi does: everything but letters and digits becomes a percent-sequence. */
function encodeAll(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9]/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
}

describe('an API token as client secret', () => {
  test.each<[string, () => [form: Record<string, string>, headers?: Record<string, string>]]>([
    ['Basic', () => [{}, { authorization: apiToken.authorization }]],
    ['Basic with the email', () => [{}, { authorization: basic(fixture.accountEmail, apiToken.token) }]],
    [
      'Basic, form-encoded',
      () => [{}, { authorization: basic(encodeAll(fixture.accountEmail), encodeAll(apiToken.token)) }],
    ],
    ['Basic in any case', () => [{}, { authorization: apiToken.authorization.replace('Basic', 'bASIC') }]],
    [
      'Basic, with the client_id in the form too',
      () => [{ client_id: fixture.accountEmail }, { authorization: apiToken.authorization }],
    ],
    ['the form', () => [{ client_id: fixture.accountId, client_secret: apiToken.token }]],
    ['the form with the email', () => [{ client_id: fixture.accountEmail, client_secret: apiToken.token }]],
  ])('gets an access token, sent as %s', async (_name, credentials) => {
    const [form, headers] = credentials()
    const answer = await server.post('/oauth/token', { ...CLIENT_CREDENTIALS, ...form }, headers)
    expect(answer.status).toBe(200)
    expect(Object.keys(answer.body).sort()).toEqual(['access_token', 'expires_in', 'scope', 'token_type'])
    expect(answer.body).toMatchObject({ token_type: 'Bearer', scope: 'read write', expires_in: 900 })
    expect((await fixture.introspect(answer.body.access_token)).body).toMatchObject({
      active: true,
      sub: fixture.accountId,
      client_id: fixture.accountId,
      key_id: apiToken.keyId,
    })
  })

  test('scope and resource are as with any grant', async () => {
    const { identifier } = fixture.resourceServer
    const answer = await must(apiToken.requestToken({ scope: 'read', resource: identifier }))
    expect(answer.scope).toBe('read')
    expect(decode(answer.access_token).claims).toMatchObject({
      aud: identifier,
      scope: 'read',
      sub: fixture.accountId,
    })
    for (const [form, error] of [
      [{ scope: 'admin' }, 'invalid_scope'],
      [{ scope: 'a  b' }, 'invalid_scope'],
      [{ resource: 'https://elsewhere.test' }, 'invalid_target'],
    ] as const) {
      expectRefusal(await expectNothingIssued(server, () => apiToken.requestToken(form)), 400, error)
    }
  })

  test('opaque tokens of a day are found as long as they live', async () => {
    const own = await server.createFixture({ tokenFormat: 'opaque' })
    await must(
      server.api('PATCH', `/resource-servers/${own.resourceServer.id}`, { token_lifetime_seconds: 86_400 }),
    )
    const ownToken = await createApiToken(server, own)
    const { access_token } = await must(ownToken.requestToken())
    expect(access_token).toMatch(/^cst_/)
    server.clock.advance(86_390)
    await server.maintain()
    expect((await own.introspect(access_token)).body.active).toBe(true)
    server.clock.advance(11)
    expect((await own.introspect(access_token)).body).toEqual({ active: false })
  })

  test('the tokens hang on the key: disabling it ends exactly these', async () => {
    const first = await createApiToken(server, fixture)
    const second = await createApiToken(server, fixture)
    const tokens = await Promise.all([first, second].map((each) => must(each.requestToken())))
    await must(server.api('PATCH', first.keyPath, { status: 'disabled' }))
    const active = await Promise.all(tokens.map((token) => fixture.introspect(token.access_token)))
    expect(active.map((answer) => answer.body.active)).toEqual([false, true])
    await must(server.api('DELETE', first.keyPath))
    await must(server.api('DELETE', second.keyPath))
  })

  test('its use is noted with address and program', async () => {
    const used = await createApiToken(server, fixture)
    await must(
      server.post('/oauth/token', CLIENT_CREDENTIALS, {
        authorization: used.authorization,
        'user-agent': 'x/1',
      }),
    )
    expect(await must(server.api('GET', used.keyPath))).toMatchObject({
      last_used_at: expect.any(String),
      last_used_ip: '127.0.0.1',
    })
    await must(server.api('DELETE', used.keyPath))
  })
})

describe('what is not accepted', () => {
  test('no credentials, or a client_id that proves nothing: invalid_client', async () => {
    for (const form of [
      {},
      { client_id: fixture.accountId },
      { client_id: fixture.accountId, client_secret: '' },
    ]) {
      const answer = await expectNothingIssued(server, () =>
        server.post('/oauth/token', { ...CLIENT_CREDENTIALS, ...form }),
      )
      await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'credentials_missing' })
    }
  })

  test('an unknown client, another client and a wrong secret are told alike, in header and form', async () => {
    const other = await server.createFixture()
    const wrong: [string, string][] = [
      [fixture.accountId, forgeApiToken(apiToken.keyId)],
      ['acc_000000000000000000000000000000000000', apiToken.token],
      [other.accountId, apiToken.token],
      [fixture.accountId, 'not-even-the-form'],
      [fixture.accountId, apiToken.token.slice(0, -1)],
      ['x'.repeat(5000), apiToken.token],
    ]
    const inHeader = wrong.map(([id, secret]) =>
      server.post('/oauth/token', CLIENT_CREDENTIALS, { authorization: basic(id, secret) }),
    )
    const inForm = wrong.map(([id, secret]) =>
      server.post('/oauth/token', { ...CLIENT_CREDENTIALS, client_id: id, client_secret: secret }),
    )
    const before = await countGrants(server)
    for (const answer of await Promise.all(inHeader)) {
      await expectRefusalFor(server, answer, {
        status: 401,
        error: 'invalid_client',
        reason: 'credentials_invalid',
      })
      expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm="[^"]+"/)
    }
    for (const answer of await Promise.all(inForm))
      await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'credentials_invalid' })
    const texts = new Set((await Promise.all([...inHeader, ...inForm])).map((answer) => answer.text))
    expect(texts.size).toBe(1)
    expect(await countGrants(server)).toBe(before)
  })

  test('the trail of the account tells that its secret was guessed', async () => {
    const own = await server.createFixture()
    const ownToken = await createApiToken(server, own)
    const authorization = basic(own.accountId, forgeApiToken(ownToken.keyId))
    await server.post('/oauth/token', CLIENT_CREDENTIALS, { authorization })
    const path = `/organizations/${own.organizationId}/audit-events?target=${own.accountId}&action=token.refused`
    const deadline = Date.now() + 10_000
    let events = await must(server.api('GET', path))
    while (events.items.length === 0 && Date.now() < deadline) events = await must(server.api('GET', path))
    expect(events.items[0]).toMatchObject({ action: 'token.refused', reason: 'credentials_invalid' })
  })

  test('a client_id in the form that is not the one in the header', async () => {
    const other = await server.createFixture()
    const answer = await expectNothingIssued(server, () =>
      apiToken.requestToken({ client_id: other.accountId }),
    )
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'request_malformed' })
  })

  test('credentials in the query are not used and not logged', async () => {
    const query = new URLSearchParams({ client_id: fixture.accountId, client_secret: apiToken.token })
    const answer = await server.post(`/oauth/token?${query}`, CLIENT_CREDENTIALS)
    await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'credentials_missing' })
    expect(JSON.stringify(server.logs())).not.toContain(apiToken.token)
  })

  test('the secret of a resource server, and an access token as Bearer', async () => {
    for (const authorization of [
      fixture.resourceServer.authorization,
      `Bearer ${await fixture.getToken()}`,
      `Bearer ${apiToken.token}`,
    ]) {
      const answer = await server.post('/oauth/token', CLIENT_CREDENTIALS, { authorization })
      expectRefusal(answer, 401, 'invalid_client')
    }
  })
})

describe('beside an assertion', () => {
  const send = async (headers: Record<string, string>, form: Record<string, string> = {}) =>
    server.post(
      '/oauth/token',
      { grant_type: JWT_BEARER, assertion: await fixture.assertion(), ...form },
      headers,
    )

  test('credentials of the same account are accepted, and the token hangs on the key that signed', async () => {
    for (const answer of [
      await send({ authorization: apiToken.authorization }),
      await send({}, { client_id: fixture.accountId, client_secret: apiToken.token }),
    ]) {
      expect(answer.status).toBe(200)
      expect((await fixture.introspect(answer.body.access_token)).body.key_id).toBe(fixture.keyId)
    }
  })

  test('wrong ones are refused, and burn no jti', async () => {
    const assertion = await fixture.assertion()
    const authorization = basic(fixture.accountId, forgeApiToken(apiToken.keyId))
    const answer = await expectNothingIssued(server, () =>
      server.post('/oauth/token', { grant_type: JWT_BEARER, assertion }, { authorization }),
    )
    expectRefusal(answer, 401, 'invalid_client')
    expect((await fixture.requestToken({ assertion })).status).toBe(200)
  })

  test('good ones of another account are refused', async () => {
    const other = await server.createFixture()
    const otherToken = await createApiToken(server, other)
    const answer = await expectNothingIssued(server, () => send({ authorization: otherToken.authorization }))
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'client_mismatch' })
  })
})

test('a key that is disabled while the token is made gets none', async () => {
  const own = await server.createFixture()
  const ownToken = await createApiToken(server, own)
  const answers = await Promise.all([
    ...Array.from({ length: 30 }, () => ownToken.requestToken()),
    server.api('PATCH', ownToken.keyPath, { status: 'disabled' }),
  ])
  for (const answer of answers.slice(0, -1)) {
    if (answer.status === 200) {
      expect((await own.introspect(answer.body.access_token)).body).toEqual({ active: false })
    } else {
      expect(answer.body.error).toBe('invalid_client')
    }
  }
})

test('a client assertion costs no round trip more than a secret: the claim on its jti is the grant record', async () => {
  const client = asClient(server, fixture)
  const assertion = await client.assertion()
  const { pool } = server.connection
  const query = pool.query
  const seen: string[] = []
  pool.query = ((config: { name?: string } | string, ...rest: unknown[]) => {
    seen.push(typeof config === 'string' ? config : (config.name ?? ''))
    return Reflect.apply(query, pool, [config, ...rest])
  }) as typeof query
  try {
    const answer = await server.post('/oauth/token', { ...CLIENT_CREDENTIALS, ...byAssertion(assertion) })
    expect(answer.status).toBe(200)
  } finally {
    pool.query = query
  }
  expect(seen).toEqual(['find-issuers', expect.stringMatching(/^record-grants/)])
})
