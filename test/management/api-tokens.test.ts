import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createApiToken } from '../support/api-tokens.ts'
import { createOrganization, expectProblem, pointersOf } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

const DAY_MILLISECONDS = 86_400_000

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
})
afterAll(() => server.close())

const inDays = (days: number) => new Date(server.clock.now() + days * DAY_MILLISECONDS).toISOString()

/** An account of an organization with these settings. */
async function createAccount(settings: unknown): Promise<{ account: string; organization: string }> {
  const { id } = await createOrganization(server, settings)
  const organization = `/organizations/${id}`
  const { id: accountId } = await must(
    server.api('POST', `${organization}/service-accounts`, { name: 'holder' }),
  )
  return { account: `${organization}/service-accounts/${accountId}`, organization }
}

describe('making an API token', () => {
  test('answers it once, and afterwards only its two ends', async () => {
    const created = await server.api('POST', `${fixture.accountPath}/keys`, { type: 'api_token' })
    expect(created.status).toBe(201)
    expect(created.headers.get('cache-control')).toBe('no-store')
    const { key, api_token: token } = created.body
    expect(token).toMatch(/^csk_[A-Za-z0-9_-]{85}$/)
    expect(token.slice(4, 40)).toBe(key.id.slice(4))
    expect(key).toEqual({
      id: expect.stringMatching(/^key_/),
      account_id: fixture.accountId,
      name: `API token ${key.created_at.slice(0, 10)}`,
      type: 'api_token',
      kid: null,
      algorithm: null,
      modulus_length: null,
      thumbprint: null,
      public_key: null,
      obfuscated_token: `${token.slice(0, 8)}…${token.slice(-4)}`,
      status: 'active',
      not_before: null,
      expires_at: null,
      created_at: key.created_at,
      created_by: expect.stringMatching(/^acc_/),
      last_used_at: null,
      last_used_ip: null,
      last_used_user_agent: null,
    })
    const read = await server.api('GET', `${fixture.accountPath}/keys/${key.id}`)
    expect(read.body).toEqual(key)
    const list = await server.api('GET', `${fixture.accountPath}/keys`)
    expect(list.body.items).toContainEqual(key)
    for (const { text } of [read, list]) expect(text).not.toContain(token.slice(40, 83))
  })

  test('with a new account, as its first key', async () => {
    const { id } = await createOrganization(server)
    const created = await must(
      server.api('POST', `/organizations/${id}/service-accounts`, {
        name: 'with token',
        initial_key: { type: 'api_token', name: 'first', expires_at: inDays(30) },
      }),
    )
    expect(created.initial_key.key).toMatchObject({ type: 'api_token', name: 'first' })
    expect(created.initial_key.api_token).toMatch(/^csk_/)
    expect(created.assertion_policy.profile).toBe('rfc7523')
  })

  test('is in the trail without the token', async () => {
    const made = await createApiToken(server, fixture)
    const path = `/organizations/${fixture.organizationId}/audit-events?target=${made.keyId}`
    const { body, text } = await server.api('GET', path)
    expect(body.items[0]).toMatchObject({
      action: 'key.created',
      changes: { after: { type: 'api_token', obfuscated_token: made.key.obfuscated_token } },
    })
    expect(text).not.toContain(made.token.slice(40, 83))
  })

  test('only its SHA-256 is kept: the token is in no column of any table, in no form', async () => {
    const { token, requestToken } = await createApiToken(server, fixture)
    await must(requestToken())
    await fixture.introspect(token)
    const { pool } = server.connection
    const { rows: tables } = await pool.query(
      "select tablename as name from pg_tables where schemaname = 'public'",
    )
    for (const { name } of tables) {
      const { rows } = await pool.query(`select t::text as text from "${name}" t`)
      for (const { text } of rows) {
        for (const form of [token, token.slice(40, 83), Buffer.from(token).toString('hex')])
          expect(text.includes(form)).toBe(false)
      }
    }
  })

  test('can be renamed, given an end, disabled, enabled and revoked like any key', async () => {
    const { keyPath } = await createApiToken(server, fixture)
    const expiresAt = inDays(1)
    expect(
      await must(server.api('PATCH', keyPath, { name: 'renamed', expires_at: expiresAt })),
    ).toMatchObject({
      name: 'renamed',
      expires_at: expiresAt,
    })
    for (const status of ['disabled', 'active'])
      expect((await must(server.api('PATCH', keyPath, { status }))).status).toBe(status)
    expect((await server.api('DELETE', keyPath)).status).toBe(204)
    expectProblem(await server.api('PATCH', keyPath, { name: 'x' }), 409, 'key_already_revoked')
  })
})

describe('what is refused', () => {
  test.each([
    ['a secret of one’s own', { api_token: 'x' }, '/api_token'],
    ['a member of another type', { modulus_length: 2048 }, '/modulus_length'],
    ['a time before which it does not count', { not_before: '2030-01-01T00:00:00Z' }, '/not_before'],
    ['an end that is over', { expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
  ])('%s', async (_name, members, pointer) => {
    const answer = await server.api('POST', `${fixture.accountPath}/keys`, { type: 'api_token', ...members })
    expectProblem(answer, 422, 'input_invalid')
    expect(pointersOf(answer)).toEqual([pointer])
  })
})

describe('settings of the organization', () => {
  test('allow_api_tokens', async () => {
    const { account, organization } = await createAccount({ allow_api_tokens: false })
    expect((await must(server.api('GET', organization))).settings.allow_api_tokens).toBe(false)
    expectProblem(
      await server.api('POST', `${account}/keys`, { type: 'api_token' }),
      409,
      'api_tokens_forbidden',
    )
    expectProblem(
      await server.api('POST', `${organization}/service-accounts`, {
        name: 'x',
        initial_key: { type: 'api_token' },
      }),
      409,
      'api_tokens_forbidden',
    )
    await must(server.api('PATCH', organization, { settings: { allow_api_tokens: true } }))
    expect((await server.api('POST', `${account}/keys`, { type: 'api_token' })).status).toBe(201)
  })

  test('allow_generated_keys is about pairs, not about API tokens', async () => {
    const { account } = await createAccount({ allow_generated_keys: false })
    expect((await server.api('POST', `${account}/keys`, { type: 'api_token' })).status).toBe(201)
  })

  test('max_key_lifetime_days gives an API token its end, and allows no later one', async () => {
    const { account } = await createAccount({ max_key_lifetime_days: 30 })
    const { key } = await must(server.api('POST', `${account}/keys`, { type: 'api_token' }))
    expect(Date.parse(key.expires_at) - Date.parse(key.created_at)).toBe(30 * DAY_MILLISECONDS)
    for (const answer of [
      await server.api('POST', `${account}/keys`, { type: 'api_token', expires_at: inDays(31) }),
      await server.api('POST', `${account}/keys`, { type: 'api_token', expires_at: null }),
      await server.api('PATCH', `${account}/keys/${key.id}`, { expires_at: null }),
    ]) {
      expectProblem(answer, 422, 'input_invalid')
      expect(pointersOf(answer)).toEqual(['/expires_at'])
    }
  })

  test('max_keys_per_account counts API tokens too', async () => {
    const { account } = await createAccount({ max_keys_per_account: 2 })
    const tokens = `${account}/keys`
    const first = await must(server.api('POST', tokens, { type: 'api_token' }))
    await must(server.api('POST', tokens, { type: 'api_token' }))
    expectProblem(await server.api('POST', tokens, { type: 'api_token' }), 409, 'key_limit_reached')
    await server.api('DELETE', `${tokens}/${first.key.id}`)
    expect((await server.api('POST', tokens, { type: 'api_token' })).status).toBe(201)
  })
})
