import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { ROUTES } from '../../src/management/router.ts'
import { request } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

/** Bodies per endpoint that takes one; queries and ids per endpoint. */
const BODIES = 120
const PATHS = 12
const TIMEOUT_MILLISECONDS = 60_000

jest.setTimeout(TIMEOUT_MILLISECONDS)

let server: TestServer
let fixture: Fixture
let ids: Record<string, string>
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  const { secret } = await must(
    server.api('POST', `/resource-servers/${fixture.resourceServer.id}/secrets`, {}),
  )
  const { jti } = (await fixture.introspect(await fixture.getToken())).body
  ids = {
    org: fixture.organizationId,
    acc: fixture.accountId,
    key: fixture.keyId,
    tok: jti,
    rs: fixture.resourceServer.id,
    id: secret.id,
  }
})
afterAll(() => server.close())

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    '\u0000',
    '\ud800',
    'a\u0000b',
    '',
    ' ',
    '👩‍🚀',
    '../..',
    "'; drop table keys;--",
    '٣',
    '\u202e',
  ),
  fc.constantFrom('rsa', 'public_key', 'active', 'disabled', 'json', 'p12', 'jwt', 'opaque', 'urn:x', 'slug'),
  fc.constantFrom(
    '2030-01-01T00:00:00Z',
    '9999-12-31T23:59:59-23:59',
    '0000-01-01T00:00:00Z',
    '2030-12-31T23:59:60Z',
  ),
  fc.constantFrom(
    '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
    '{"kty":"RSA"}',
    '-----BEGIN X-----',
  ),
)
const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(0, -0, 1, 2048, 1e308, Number.MAX_SAFE_INTEGER),
)
const leaf = fc.oneof(text, number, fc.boolean(), fc.constant(null))
const value = fc.oneof(
  { weight: 4, arbitrary: leaf },
  { weight: 1, arbitrary: fc.array(leaf, { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.dictionary(text, leaf, { maxKeys: 4 }) },
)
/** Member names of the contract, so that a body gets past the first check now and then. */
const MEMBERS = [
  'name',
  'slug',
  'description',
  'owner_contact',
  'status',
  'settings',
  'require_jti',
  'max_key_lifetime_days',
  'permissions',
  'resource_server_id',
  'permission',
  'assertion_policy',
  'profile',
  'extra_audiences',
  'max_lifetime_seconds',
  'initial_key',
  'type',
  'public_key',
  'kty',
  'crv',
  'n',
  'e',
  'x',
  'y',
  'd',
  'kid',
  'alg',
  'expires_at',
  'not_before',
  'modulus_length',
  'format',
  'algorithm',
  'identifier',
  'token_format',
  'signing_algorithm',
  'token_lifetime_seconds',
  '__proto__',
  'constructor',
  'toString',
]
const member = fc.constantFrom(...MEMBERS)
const object: fc.Arbitrary<unknown> = fc.dictionary(
  member,
  fc.oneof(
    value,
    fc.dictionary(member, value, { maxKeys: 5 }),
    fc.array(fc.dictionary(member, value, { maxKeys: 3 }), { maxLength: 3 }),
  ),
  { maxKeys: 6 },
)
/** A valid body, with one member or two replaced: what reaches the rules. */
const VALID: Record<string, Record<string, unknown>> = {
  'POST /organizations': { slug: 'fuzzed', name: 'x', settings: { require_jti: true } },
  'PATCH /organizations/:org': { name: 'x', settings: { max_keys_per_account: 100 } },
  'POST /organizations/:org/service-accounts': { name: 'x', description: 'd', permissions: [] },
  'PATCH /organizations/:org/service-accounts/:acc': { name: 'x', owner_contact: 'o' },
  'POST /organizations/:org/service-accounts/:acc/keys': {
    type: 'public_key',
    public_key: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
    name: 'x',
  },
  'PATCH /organizations/:org/service-accounts/:acc/keys/:key': { name: 'x', expires_at: null },
  'POST /resource-servers': { identifier: 'urn:fuzz', name: 'x', permissions: [{ name: 'a' }] },
  'PATCH /resource-servers/:rs': { name: 'x', token_lifetime_seconds: 60 },
  'POST /resource-servers/:rs/secrets': { name: 'x' },
}
const bent = (valid: Record<string, unknown>) =>
  fc
    .dictionary(fc.constantFrom(...Object.keys(valid)), value, { maxKeys: 2 })
    .map((change) => ({ ...valid, ...change }))

const names = ROUTES.map(([method, path]) => `${method} ${path}`)
const fill = (path: string) => path.replace(/:(\w+)/g, (_match, parameter) => ids[parameter] ?? '')

async function expectNoBug(answer: { status: number; text: string }, sent: unknown): Promise<void> {
  if (answer.status >= 500) throw new Error(`${answer.status} for ${JSON.stringify(sent)}: ${answer.text}`)
}

describe('no body is answered with a 500', () => {
  test.each(Object.keys(VALID))('%s', async (name) => {
    const [method = '', path = ''] = name.split(' ')
    const valid = VALID[name] ?? {}
    await fc.assert(
      fc.asyncProperty(fc.oneof(object, value, bent(valid), bent(valid)), async (body) => {
        // Generating pairs is a matter of time, not of input.
        if ((body as { type?: unknown } | null)?.type === 'rsa') return
        const answer = await request(server, method, fill(path), {
          token: await server.operatorToken(),
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body) ?? 'null',
        })
        await expectNoBug(answer, body)
      }),
      { numRuns: BODIES },
    )
  })

  test('nor are bytes that only look like JSON', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.json(), fc.string({ unit: 'binary' })),
        fc.uint8Array(),
        async (json, bytes) => {
          for (const body of [json, bytes]) {
            const answer = await request(server, 'POST', '/organizations', {
              token: await server.operatorToken(),
              headers: { 'content-type': 'application/json' },
              body,
            })
            await expectNoBug(answer, body)
          }
        },
      ),
      { numRuns: PATHS },
    )
  })
})

describe('no id and no query is answered with a 500', () => {
  test.each(names)('%s', async (name) => {
    const [method = '', path = ''] = name.split(' ')
    const parameters = (path.match(/:\w+/g) ?? []).map((parameter) => parameter.slice(1))
    const strange = fc.oneof(
      text.filter((id) => id.isWellFormed()),
      fc.constantFrom('%', '%zz', '%00', '..', 'acc_'),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(strange, { minLength: 4, maxLength: 4 }),
        fc.dictionary(
          fc.oneof(
            fc.constantFrom('limit', 'cursor', 'from', 'to', 'actor', 'include_revoked', '__proto__'),
            text,
          ),
          text,
          { maxKeys: 3 },
        ),
        async (values, query) => {
          let filled = path
          parameters.forEach((parameter, position) => {
            const given = values[position] ?? ''
            filled = filled.replace(
              `:${parameter}`,
              given.startsWith('%') ? given : encodeURIComponent(given),
            )
          })
          const search = Object.entries(query)
            .filter((pair) => pair.every((part) => part.isWellFormed()))
            .map((pair) => pair.map(encodeURIComponent).join('='))
            .join('&')
          const token = await server.operatorToken()
          const isRead = method === 'GET'
          await expectNoBug(await request(server, method, `${filled}`, { token }), filled)
          if (isRead) {
            const address = `${fill(path)}?${search}`
            await expectNoBug(await request(server, method, address, { token }), address)
          }
        },
      ),
      { numRuns: PATHS },
    )
  })
})

test('after all of this the server works as before', async () => {
  expect((await server.api('GET', '/me')).status).toBe(200)
  const fresh = await server.createFixture({ algorithm: 'ES256' })
  expect((await fresh.introspect(await fresh.getToken())).body.active).toBe(true)
  expect(Object.prototype).not.toHaveProperty('admin')
})
