import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { maintainSigningKeys } from '../../src/directory/signing-keys.ts'
import {
  LEEWAY_SECONDS,
  MAX_TOKEN_LIFETIME_SECONDS,
  PUBLISHED_AHEAD_SECONDS,
} from '../../src/signing/lifecycle.ts'
import { findLogLine } from '../conformance/support.ts'
import { decode } from '../support/jwt.ts'
import {
  createClient,
  createOrganization,
  expectProblem,
  managementServerId,
  request,
} from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

type SigningKey = {
  id: string
  algorithm: string
  status: string
  created_at: string
  activated_at: string | null
  retired_at: string | null
  removed_at: string | null
  revoked_at: string | null
  due_at: string | null
}

let server: TestServer
/** The same installation on another node, with a memory of its own. */
let other: TestServer
let fixture: Fixture
beforeAll(async () => {
  server = await startTestServer()
  const { connection, clock, issuer } = server
  other = await startTestServer({ connection, clock, issuer })
  fixture = await server.createFixture({ algorithm: 'ES256' })
  await setManagementTokens('opaque')
})
afterAll(async () => {
  await other.close()
  await server.close()
})

/** Opaque ones outlive the keys that the operator of these tests revokes. */
async function setManagementTokens(format: 'jwt' | 'opaque'): Promise<void> {
  const id = await managementServerId(server)
  await must(server.api('PATCH', `/resource-servers/${id}`, { token_format: format }))
  // The test's operator gets a new token when its clock says so.
  server.clock.advance(601)
}

async function list(): Promise<SigningKey[]> {
  return (await must(server.api('GET', '/signing-keys?limit=200'))).items
}
const find = async (status: string, algorithm = 'ES256') =>
  (await list()).find((key) => key.status === status && key.algorithm === algorithm) as SigningKey
const get = async (id: string) => (await list()).find((key) => key.id === id) as SigningKey
const revoke = (id: string): Promise<Answer> => server.api('POST', `/signing-keys/${id}/revoke`)
const kidOf = (token: string) => decode(token).header.kid
async function publishedIds(node = server): Promise<string[]> {
  return (await jwksOf(node)).keys.map((key) => key.kid ?? '')
}
async function jwksOf(node: TestServer): Promise<JSONWebKeySet> {
  return (await fetch(`${node.url}/.well-known/jwks.json`)).json() as Promise<JSONWebKeySet>
}
const introspectAt = async (node: TestServer, token: string): Promise<boolean> =>
  (
    await must(
      node.post('/oauth/introspect', { token }, { authorization: fixture.resourceServer.authorization }),
    )
  ).active
/** Until the keys that stand ready may be used. */
const passPublication = () => server.clock.advance(PUBLISHED_AHEAD_SECONDS)
const seconds = (text: string | null) => Date.parse(text ?? '') / 1000

describe('in a new installation', () => {
  test('each algorithm has a key that signs and one that stands ready, both published', async () => {
    const keys = await list()
    expect(keys.map(({ algorithm, status }) => `${algorithm} ${status}`).sort()).toEqual([
      'ES256 active',
      'ES256 next',
      'EdDSA active',
      'EdDSA next',
      'RS256 active',
      'RS256 next',
    ])
    expect((await publishedIds()).sort()).toEqual(keys.map(({ id }) => id).sort())
  })

  test('no key shows its private half, wrapped or not', async () => {
    const { text } = await server.api('GET', '/signing-keys')
    expect(text).not.toMatch(/wrapped|private|"d":/)
  })

  test('it is told when they change', async () => {
    const [active, next] = [await find('active'), await find('next')]
    expect(seconds(active.due_at) - seconds(active.activated_at)).toBe(90 * 86_400)
    expect(next).toMatchObject({ due_at: active.due_at, activated_at: null })
  })

  test('the first keys stand in the trail as made by the system', async () => {
    const { organization } = await must(server.api('GET', '/me'))
    const { items } = await must(
      server.api('GET', `/organizations/${organization.id}/audit-events?action=signing_key.created&limit=50`),
    )
    expect(items).toHaveLength(6)
    const { id } = await find('active')
    expect(items.find((event: { target: { id: string } }) => event.target.id === id)).toMatchObject({
      actor: { id: null, kind: 'system' },
      target: { kind: 'signing_key', name: 'ES256' },
      changes: { after: { algorithm: 'ES256', status: 'active' } },
    })
  })
})

test('the server changes keys by itself when they are old, and removes them when no token needs them', async () => {
  passPublication()
  const [active, next] = [await find('active'), await find('next')]
  const token = await fixture.getToken()
  expect(kidOf(token)).toBe(active.id)
  server.clock.advance(Math.floor(seconds(active.due_at) - server.clock.now() / 1000) - 60)
  expect(await server.maintainSigningKeys()).toEqual([])

  server.clock.advance(62)
  await server.maintain()
  const longLived = await fixture.getToken()
  const changes = await server.maintainSigningKeys()
  expect(changes.map(({ kind }) => kind).sort()).toEqual(
    ['retire', 'activate', 'create'].flatMap((kind) => [kind, kind, kind]).sort(),
  )
  expect(await get(active.id)).toMatchObject({ status: 'retiring', removed_at: null })
  expect(await get(next.id)).toMatchObject({ status: 'active' })
  for (const node of [server, other]) {
    expect(await publishedIds(node)).toEqual(expect.arrayContaining([active.id, next.id]))
    expect(await introspectAt(node, longLived)).toBe(true)
  }
  expect(kidOf(await fixture.getToken())).toBe(next.id)

  server.clock.advance(MAX_TOKEN_LIFETIME_SECONDS + LEEWAY_SECONDS - 2)
  expect(await server.maintainSigningKeys()).toEqual([])
  server.clock.advance(3)
  await server.maintain()
  expect((await server.maintainSigningKeys()).map(({ kind }) => kind)).toEqual(['remove', 'remove', 'remove'])
  expect(await get(active.id)).toMatchObject({ status: 'gone', revoked_at: null, due_at: null })
  for (const node of [server, other]) expect(await publishedIds(node)).not.toContain(active.id)
})

test('two nodes that maintain at once change the keys once', async () => {
  passPublication()
  server.clock.advance(91 * 86_400)
  await server.maintain()
  const changes = (
    await Promise.all([server, other, server, other].map((node) => node.maintainSigningKeys()))
  ).flat()
  expect(changes.filter(({ kind }) => kind === 'activate')).toHaveLength(3)
  const counts = (await list()).filter(({ status }) => status === 'active' || status === 'next')
  expect(counts).toHaveLength(6)
})

describe('rotation by hand', () => {
  test('waits for the keys that stand ready to have been published', async () => {
    const answer = await server.api('POST', '/signing-keys/rotate')
    expectProblem(answer, 409, 'signing_key_not_ready')
    const wait = Number(answer.headers.get('retry-after'))
    expect(wait).toBeGreaterThan(PUBLISHED_AHEAD_SECONDS - 60)
    expect(wait).toBeLessThanOrEqual(PUBLISHED_AHEAD_SECONDS)
    server.clock.advance(wait)
    expect((await server.api('POST', '/signing-keys/rotate')).status).toBe(200)
  })

  test('lets all algorithms change, and tokens signed before go on verifying', async () => {
    passPublication()
    const before = await list()
    const token = await fixture.getToken()
    const { items } = await must(server.api('POST', '/signing-keys/rotate'))
    for (const algorithm of ['ES256', 'RS256', 'EdDSA']) {
      const next = before.find((key) => key.algorithm === algorithm && key.status === 'next')
      const active = items.filter((key: SigningKey) => key.algorithm === algorithm && key.status === 'active')
      expect(active.map(({ id }: SigningKey) => id)).toEqual([next?.id])
    }
    const jwks = createLocalJWKSet(await jwksOf(other))
    for (const bearer of [token, await fixture.getToken()]) {
      const { payload } = await jwtVerify(bearer, jwks, { currentDate: new Date(server.clock.now()) })
      expect(payload.iss).toBe(server.issuer)
      expect(await introspectAt(other, bearer)).toBe(true)
    }
  })

  test('stands in the trail with who did it, key by key', async () => {
    passPublication()
    const [active, next] = [await find('active'), await find('next')]
    await must(server.api('POST', '/signing-keys/rotate'))
    const { organization, account } = await must(server.api('GET', '/me'))
    for (const [id, action, before, after] of [
      [active.id, 'signing_key.retired', 'active', 'retiring'],
      [next.id, 'signing_key.activated', 'next', 'active'],
    ]) {
      const { items } = await must(
        server.api('GET', `/organizations/${organization.id}/audit-events?target=${id}&action=${action}`),
      )
      expect(items).toHaveLength(1)
      expect(items[0]).toMatchObject({
        actor: { id: account.id },
        target: { id, kind: 'signing_key', name: 'ES256' },
        changes: { before: { status: before }, after: { status: after } },
      })
    }
  })

  test('forgets the private half of a key that signs no more', async () => {
    const { rows } = await server.connection.pool.query(
      `select status, wrapped_private_key is null as forgotten from signing_keys`,
    )
    for (const { status, forgotten } of rows) expect(forgotten).toBe(['retiring', 'gone'].includes(status))
  })
})

describe('an emergency revocation', () => {
  test('ends the active key and its tokens on every node, and the next key takes over', async () => {
    passPublication()
    const [active, next] = [await find('active'), await find('next')]
    const token = await fixture.getToken()
    for (const node of [server, other]) expect(await introspectAt(node, token)).toBe(true)

    const answer = await revoke(active.id)
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ id: active.id, status: 'gone', due_at: null })
    expect(answer.body.revoked_at).toBe(answer.body.removed_at)
    for (const node of [server, other]) {
      expect(await introspectAt(node, token)).toBe(false)
      expect(await publishedIds(node)).not.toContain(active.id)
      const fresh = await must(
        node.post('/oauth/token', {
          grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          assertion: await fixture.assertion(),
        }),
      )
      expect(kidOf(fresh.access_token)).toBe(next.id)
      for (const asked of [server, other]) expect(await introspectAt(asked, fresh.access_token)).toBe(true)
    }
  })

  test('tells the operator why such a token is inactive, and the caller nothing', async () => {
    const token = await fixture.getToken()
    await must(revoke(String(kidOf(token))))
    // At first the node still has the key in mind, and the database says no; then it has forgotten it.
    for (const isForgotten of [false, true]) {
      if (isForgotten) await server.keyRing.reload()
      const answer = await fixture.introspect(token)
      expect(answer.body).toEqual({ active: false })
      const line = await findLogLine(server, answer)
      expect(line).toMatchObject({ inactive: 'signing_key_ended' })
    }
  })

  test('ends what the caller’s own token is signed with as well: a new one goes on', async () => {
    await setManagementTokens('jwt')
    const own = await server.operatorToken()
    expect((await revoke(String(kidOf(own)))).status).toBe(200)
    for (const node of [server, other]) {
      expectProblem(await request(node, 'GET', '/me', { token: own }), 401, 'token_invalid')
    }
    server.clock.advance(601)
    await setManagementTokens('opaque')
  })

  test('works twice within a moment: a key that no node has seen yet signs and verifies everywhere', async () => {
    for (let round = 0; round < 3; round++) {
      await must(revoke((await find('active')).id))
      const token = await fixture.getToken()
      expect(kidOf(token)).toBe((await find('active')).id)
      for (const node of [other, server]) expect(await introspectAt(node, token)).toBe(true)
    }
  })

  test('of a key that stands ready puts another one there', async () => {
    const next = await find('next', 'EdDSA')
    expect((await revoke(next.id)).body).toMatchObject({ status: 'gone', activated_at: null })
    expect((await find('next', 'EdDSA')).id).not.toBe(next.id)
  })

  test('of a retiring key ends its tokens, and leaves the others alone', async () => {
    passPublication()
    const token = await fixture.getToken()
    await must(server.api('POST', '/signing-keys/rotate'))
    expect(await introspectAt(other, token)).toBe(true)
    const active = await find('active')
    await must(revoke(String(kidOf(token))))
    expect(await introspectAt(other, token)).toBe(false)
    expect((await find('active')).id).toBe(active.id)
  })

  test('the second time changes nothing', async () => {
    const { id } = await find('next', 'RS256')
    const first = await must(revoke(id))
    server.clock.advance(5)
    const before = await list()
    expect(await must(revoke(id))).toEqual(first)
    expect(await list()).toEqual(before)
  })

  test('of an id that no key has is answered as such', async () => {
    for (const id of [`sig_${'0'.repeat(36)}`, 'nonsense', 'sig_1']) {
      const answer = await revoke(id)
      expectProblem(answer, 404, 'resource_not_found')
      expect(answer.body.detail).toBe('There is no signing key with that id.')
    }
  })

  test('two at once of one key end one key', async () => {
    const { id } = await find('active', 'RS256')
    const next = await find('next', 'RS256')
    const answers = await Promise.all([revoke(id), revoke(id), revoke(id)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect((await find('active', 'RS256')).id).toBe(next.id)
  })
})

test('only the operator organization sees and changes signing keys, whatever permissions others have', async () => {
  const { id } = await createOrganization(server)
  const client = await createClient(server, {
    organizationId: id,
    permissions: ['signing_keys:read', 'signing_keys:manage'],
  })
  const active = await find('active')
  for (const [method, path] of [
    ['GET', '/signing-keys'],
    ['POST', '/signing-keys/rotate'],
    ['POST', `/signing-keys/${active.id}/revoke`],
    ['POST', `/signing-keys/sig_${'0'.repeat(36)}/revoke`],
  ] as const) {
    expectProblem(await client.call(method, path), 403, 'permission_missing')
  }
  expect(await get(active.id)).toEqual(active)
})

test('opaque tokens have nothing to do with signing keys', async () => {
  const opaque = await server.createFixture({ algorithm: 'ES256', tokenFormat: 'opaque' })
  const token = await opaque.getToken()
  await must(revoke((await find('active')).id))
  expect((await opaque.introspect(token)).body.active).toBe(true)
})

test('a node that lacks the key-encryption key of an active key says that it is not ready', async () => {
  const { connection, clock } = server
  const ready = async () => {
    const response = await fetch(`${server.url}/health/ready`)
    return { status: response.status, body: await response.json() }
  }
  expect(await ready()).toEqual({ status: 200, body: { status: 'ready' } })
  const next = await find('next')
  await connection.pool.query(
    `update signing_keys set status = 'gone', wrapped_private_key = null where id = '${next.id}'`,
  )
  const stranger = { db: connection.db, clock, keyEncryptionKeys: [Buffer.alloc(32, 9)] as const }
  await maintainSigningKeys({ ...stranger, signingKeyRotationDays: 90 })
  await must(revoke((await find('active')).id))
  await server.keyRing.reload()
  expect(await ready()).toEqual({
    status: 503,
    body: { status: 'unready', cause: 'signing_key_unreadable' },
  })

  // The key that stands ready now was made by this node.
  await must(revoke((await find('active')).id))
  await server.keyRing.reload()
  expect((await ready()).status).toBe(200)
  expect(kidOf(await fixture.getToken())).toBe((await find('active')).id)
})
