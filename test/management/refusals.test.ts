import { globSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createProver } from '../support/dpop.ts'
import { createKeyPair } from '../support/jwt.ts'
import {
  createClient,
  createOrganization,
  expectProblem,
  managementServerId,
  request,
} from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { parseYaml } from '../support/yaml.ts'

type Published = { code: string; status: number }
const published: Published[] = parseYaml(readFileSync('openapi.yaml', 'utf8'))['x-problems']

let server: TestServer
let fixture: Fixture
let account: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  account = fixture.accountPath
})
afterAll(() => server.close())

const api = (method: string, path: string, body?: unknown) => server.api(method, path, body)
const raw = async (
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string | Uint8Array,
) => request(server, method, path, { token: await server.operatorToken(), headers, body })
const JSON_TYPE = { 'content-type': 'application/json' }
const ownKey = async () => ({ type: 'public_key', public_key: (await createKeyPair('ES256')).publicJwk })

/** One way to every problem that the contract publishes. */
const WAYS: Record<string, () => Promise<Answer>> = {
  request_malformed: () => raw('POST', '/organizations', JSON_TYPE, '{"slug":'),
  credentials_malformed: () => request(server, 'GET', '/me', { headers: { authorization: 'Bearer a b' } }),
  credentials_ambiguous: async () =>
    raw('POST', '/organizations', { 'content-type': 'application/x-www-form-urlencoded' }, 'access_token=x'),
  credentials_missing: () => request(server, 'GET', '/me'),
  token_invalid: () => request(server, 'GET', '/me', { token: 'cst_nonsense' }),
  proof_invalid: () => request(server, 'GET', '/me', { headers: { authorization: 'DPoP x', dpop: 'x.y.z' } }),
  proof_nonce_required: async () => {
    const prover = await createProver(server)
    const uri = `${server.issuer}/api/v1/me`
    const dpop = await prover.prove({ method: 'GET', uri, accessToken: 'x' })
    return request(server, 'GET', '/me', { headers: { authorization: 'DPoP x', dpop } })
  },
  permission_missing: async () => {
    const { id } = await createOrganization(server)
    const client = await createClient(server, { organizationId: id, permissions: ['audit:read'] })
    return client.call('GET', `/organizations/${id}/service-accounts`)
  },
  permission_not_held: async () => {
    const { id } = await createOrganization(server)
    const client = await createClient(server, {
      organizationId: id,
      permissions: ['service_accounts:manage'],
    })
    const permissions = [{ resource_server_id: await managementServerId(server), permission: 'audit:read' }]
    return client.call('PATCH', client.accountPath, { permissions })
  },
  not_found: () => api('GET', '/organisations'),
  resource_not_found: () => api('GET', `/organizations/org_${'0'.repeat(36)}`),
  method_not_allowed: () => api('PUT', '/organizations', {}),
  slug_taken: async () =>
    api('POST', '/organizations', { slug: (await createOrganization(server)).slug, name: 'x' }),
  identifier_taken: () =>
    api('POST', '/resource-servers', { identifier: fixture.resourceServer.identifier, name: 'x' }),
  key_material_taken: () =>
    api('POST', `${account}/keys`, { type: 'public_key', public_key: fixture.keyPair.publicJwk }),
  kid_taken: async () => {
    const withKid = async () => {
      const key = await ownKey()
      return { ...key, public_key: { ...key.public_key, kid: 'chosen' } }
    }
    await must(api('POST', `${account}/keys`, await withKid()))
    return api('POST', `${account}/keys`, await withKid())
  },
  key_limit_reached: async () => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    const settings = { max_keys_per_account: 1 }
    await must(api('PATCH', `/organizations/${own.organizationId}`, { settings }))
    return api('POST', `${own.accountPath}/keys`, await ownKey())
  },
  key_generation_forbidden: async () => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    const settings = { allow_generated_keys: false }
    await must(api('PATCH', `/organizations/${own.organizationId}`, { settings }))
    return api('POST', `${own.accountPath}/keys`, { type: 'rsa' })
  },
  key_generation_busy: async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => api('POST', `${account}/keys`, { type: 'rsa', modulus_length: 4096 })),
    )
    return answers.find((answer) => answer.status === 429) ?? (answers[0] as Answer)
  },
  key_already_revoked: async () => {
    const { key } = await must(api('POST', `${account}/keys`, await ownKey()))
    await must(api('DELETE', `${account}/keys/${key.id}`))
    return api('PATCH', `${account}/keys/${key.id}`, { name: 'x' })
  },
  organization_not_empty: () => api('DELETE', `/organizations/${fixture.organizationId}`),
  built_in_protected: async () => api('DELETE', `/resource-servers/${await managementServerId(server)}`),
  // The keys that stand ready were made with this server.
  signing_key_not_ready: () => api('POST', '/signing-keys/rotate'),
  body_too_large: () =>
    raw('POST', '/organizations', JSON_TYPE, JSON.stringify({ name: 'x'.repeat(70_000) })),
  media_type_unsupported: () => raw('POST', '/organizations', { 'content-type': 'text/plain' }, '{}'),
  input_invalid: () => api('POST', '/organizations', {}),
  private_key_given: async () =>
    api('POST', `${account}/keys`, {
      type: 'public_key',
      public_key: (await createKeyPair('ES256')).privateKeyPem,
    }),
  internal_error: async () => {
    await server.connection.pool.query(
      'alter table audit_events add constraint broken check (false) not valid',
    )
    const answer = await api('POST', '/organizations', { slug: 'broken', name: 'x' })
    await server.connection.pool.query('alter table audit_events drop constraint broken')
    return answer
  },
}

/** Tested where the limit that they tell of is: at the front of the server, and with a database that is gone. */
const ELSEWHERE = ['too_many_requests', 'database_unavailable']
/** Where else problems are met: the tests of what they belong to. */
const OTHER_TESTS = globSync('test/{sign-in,management,oauth}/*.test.ts')
  .filter((file) => !file.endsWith('refusals.test.ts'))
  .map((file) => readFileSync(file, 'utf8'))

describe('every published problem', () => {
  test.each(published.map(({ code, status }) => [code, status] as const))(
    '%s is answered with %i',
    async (code, status) => {
      const way = WAYS[code]
      if (way !== undefined) expectProblem(await way(), status, code)
      else
        expect(ELSEWHERE.includes(code) || OTHER_TESTS.some((text) => text.includes(`'${code}'`))).toBe(true)
    },
  )

  test('is all there is', () => {
    expect(Object.keys(WAYS).filter((code) => !published.some((problem) => problem.code === code))).toEqual(
      [],
    )
  })
})

test('a private key is told to be compromised, and never comes back', async () => {
  const { privateKeyPem } = await createKeyPair('RS256')
  const answer = await api('POST', `${account}/keys`, { type: 'public_key', public_key: privateKeyPem })
  expectProblem(answer, 422, 'private_key_given')
  expect(answer.body.detail).toMatch(/compromised/)
  expect(answer.text).not.toContain(privateKeyPem.slice(40, 90))
})

test('the refusal of key material is the same whoever has it', async () => {
  const stranger = await server.createFixture({ algorithm: 'ES256' })
  const mine = await api('POST', `${account}/keys`, {
    type: 'public_key',
    public_key: fixture.keyPair.publicJwk,
  })
  const theirs = await api('POST', `${account}/keys`, {
    type: 'public_key',
    public_key: stranger.keyPair.publicJwk,
  })
  const told = ({ body }: Answer) => ({ ...body, request_id: '', instance: '' })
  expect(told(mine)).toEqual(told(theirs))
})

describe('bodies that cannot be read', () => {
  test.each<[string, Record<string, string>, string | Uint8Array, number]>([
    ['a repeated name', JSON_TYPE, '{"slug":"a","name":"x","name":"y"}', 400],
    ['a repeated name under an escape', JSON_TYPE, '{"slug":"a","name":"x","n\\u0061me":"y"}', 400],
    [
      'a repeated name inside',
      JSON_TYPE,
      '{"slug":"a","name":"x","settings":{"require_jti":true,"require_jti":false}}',
      400,
    ],
    ['bytes that are not UTF-8', JSON_TYPE, new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), 400],
    ['a byte-order mark', JSON_TYPE, '\ufeff{}', 400],
    ['no object', JSON_TYPE, '[]', 422],
    ['null', JSON_TYPE, 'null', 422],
    ['a NUL in a value', JSON_TYPE, '{"slug":"nul","name":"a\\u0000b"}', 422],
    ['a lone surrogate in a value', JSON_TYPE, '{"slug":"lone","name":"a\\ud800b"}', 422],
    ['a name written with an escape', JSON_TYPE, '{"slug":"nul","name":"x","\\u0000":1}', 400],
    ['__proto__', JSON_TYPE, '{"slug":"proto","name":"x","__proto__":{"admin":true}}', 422],
    ['nesting without end', JSON_TYPE, '['.repeat(30_000) + ']'.repeat(30_000), 422],
    ['another charset', { 'content-type': 'application/json; charset=iso-8859-1' }, '{}', 415],
    ['an encoding', { ...JSON_TYPE, 'content-encoding': 'gzip' }, '{}', 415],
    ['a merge patch that is posted', { 'content-type': 'application/merge-patch+json' }, '{}', 415],
    ['no content type', { 'content-type': '' }, '{}', 415],
  ])('%s', async (_name, headers, body, status) => {
    const answer = await raw('POST', '/organizations', headers, body)
    expect(answer.status).toBe(status)
    expectProblem(answer, status, answer.body.code)
  })

  test.each(['POST', 'PATCH'])('no body at all where %s needs one', async (method) => {
    const path = method === 'POST' ? '/organizations' : account
    expectProblem(await api(method, path), 422, 'input_invalid')
  })

  test('a merge patch may be called what it is, with a charset or without', async () => {
    for (const type of [
      'application/merge-patch+json',
      'Application/Merge-Patch+JSON; charset=UTF-8',
      'application/json;charset="utf-8"',
    ]) {
      const answer = await raw(
        'PATCH',
        `/organizations/${fixture.organizationId}`,
        { 'content-type': type },
        '{"name":"x"}',
      )
      expect(answer.status).toBe(200)
    }
  })
})
