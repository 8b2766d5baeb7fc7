import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createApiToken } from '../support/api-tokens.ts'
import { createProver, hash, type Prover } from '../support/dpop.ts'
import { expectProblem, managementServerId } from '../support/management.ts'
import { sendRaw } from '../support/raw-request.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'
import { findLogLine } from './support.ts'

/** RFC 9449 §7 at the management API. */

const ALGORITHMS = 'ES256 ES384 EdDSA Ed25519 PS256 RS256'

/** What challenges say before they say what is wrong. */
let BEARER: string
let DPOP: string

let server: TestServer
let other: TestServer
let prover: Prover
/** An account that may read the trail, and a token of it that is bound to the prover's key. */
let fixture: Fixture
let bound: string
let unbound: string

beforeAll(async () => {
  server = await startTestServer()
  other = await startTestServer({
    connection: server.connection,
    clock: server.clock,
    issuer: server.issuer,
  })
  const known = `realm="countersign", resource_metadata="${server.issuer}/.well-known/oauth-protected-resource/api/v1"`
  BEARER = `Bearer ${known}`
  DPOP = `DPoP ${known}, algs="${ALGORITHMS}"`
  prover = await createProver(server)
  fixture = await server.createFixture({ algorithm: 'ES256' })
  const management = await managementServerId(server)
  const permissions = [{ resource_server_id: management, permission: 'audit:read' }]
  await must(server.api('PATCH', fixture.accountPath, { permissions }))
  bound = await prover.getToken(fixture)
  unbound = await fixture.getToken()
})

afterAll(async () => {
  await other.close()
  await server.close()
})

async function get(headers: Record<string, string>, on: TestServer = server): Promise<Answer> {
  return toAnswer(await fetch(`${on.url}/api/v1/me`, { headers }))
}

const proofFor = async (token: string, claims = {}) =>
  prover.prove(
    {
      method: 'GET',
      uri: `${server.issuer}/api/v1/me`,
      accessToken: token,
      nonce: await prover.managementNonce(),
    },
    claims,
  )

function expectChallenge(answer: Answer, challenge: string): void {
  expect(answer.headers.get('www-authenticate')).toBe(challenge)
}

async function expectBadProof(answer: Answer, reason: string): Promise<void> {
  expectProblem(answer, 401, 'proof_invalid')
  expectChallenge(answer, `${DPOP}, error="invalid_dpop_proof"`)
  expect((await findLogLine(server, answer)).reason).toBe(reason)
}

async function expectBadToken(answer: Answer, why: string, challenge: string): Promise<void> {
  expectProblem(answer, 401, 'token_invalid')
  expectChallenge(answer, challenge)
  expect(await findLogLine(server, answer)).toMatchObject({ reason: 'token_invalid', detail: { why } })
}

describe('a bound token', () => {
  test('[9449-7.1-1] with a proof of its key for this call is accepted, for any method and path', async () => {
    const { status, body } = await prover.call(bound)
    expect({ status, id: body.account.id }).toEqual({ status: 200, id: fixture.accountId })
    const path = `/organizations/${fixture.organizationId}/audit-events`
    expect((await prover.call(bound, { path })).status).toBe(200)
    expect((await prover.call(bound, { method: 'HEAD' })).status).toBe(200)
    // The query is no part of what is proven.
    const uri = `${server.issuer}/api/v1${path}`
    expect((await prover.call(bound, { path: `${path}?limit=1`, claims: { htu: uri } })).status).toBe(200)
  })

  test('[9449-7.1-1] needs the permission all the same, and hears so in its own scheme', async () => {
    const answer = await prover.call(bound, { path: '/organizations' })
    expectProblem(answer, 403, 'permission_missing')
    expectChallenge(answer, `${DPOP}, error="insufficient_scope", scope="organizations:read"`)
  })

  test('[9449-7.1-1] without a proof is refused', async () => {
    await expectBadProof(await get({ authorization: `DPoP ${bound}` }), 'proof_required')
  })

  test('[9449-7.1-1] with a proof of another key is refused', async () => {
    const thief = await createProver(server)
    const challenge = `${DPOP}, error="invalid_token"`
    await expectBadToken(await thief.call(bound), 'bound_to_key', challenge)
  })

  test.each<[string, Record<string, unknown>]>([
    ['no ath', { ath: undefined }],
    ['the ath of another token', { ath: hash('another') }],
    ['an empty ath', { ath: '' }],
    ['the method of another call', { htm: 'POST' }],
    ['the path of another call', { htu: 'http://127.0.0.1/api/v1/organizations' }],
    ['a host of somebody’s own', { htu: 'https://evil.example/api/v1/me' }],
  ])('[9449-7.1-1] with a proof that has %s is refused', async (_what, claims) => {
    await expectBadProof(await prover.call(bound, { claims }), 'proof_mismatch')
  })

  test('[9449-7.1-1] with a proof for the token endpoint is refused', async () => {
    const claims = { htu: server.tokenEndpoint, htm: 'POST' }
    await expectBadProof(await prover.call(bound, { claims }), 'proof_mismatch')
  })

  test.each(['dpop', 'DPOP', 'DPoP'])('[9449-7.1-2] the scheme may be written %s', async (scheme) => {
    expect((await prover.call(bound, { headers: { authorization: `${scheme} ${bound}` } })).status).toBe(200)
  })

  test('[9449-7.2-1][7662-downgrade] as a Bearer token is refused, with a good proof too', async () => {
    for (const dpop of [undefined, await proofFor(bound)]) {
      const answer = await get({ authorization: `Bearer ${bound}`, ...(dpop && { dpop }) })
      await expectBadToken(answer, 'bound_to_key', `${BEARER}, error="invalid_token"`)
    }
  })

  test('that has ended is refused, and its proof is not used up', async () => {
    const token = await prover.getToken(fixture)
    const dpop = await proofFor(token)
    const [, payload = ''] = token.split('.')
    const { jti } = JSON.parse(Buffer.from(payload, 'base64url').toString())
    await must(server.api('DELETE', `${fixture.accountPath}/tokens/${jti}`))
    const { rows } = await server.connection.pool.query('select count(*)::int as count from used_jtis')
    const answer = await get({ authorization: `DPoP ${token}`, dpop })
    await expectBadToken(answer, 'revoked', `${DPOP}, error="invalid_token"`)
    const after = await server.connection.pool.query('select count(*)::int as count from used_jtis')
    expect(after.rows[0].count).toBe(rows[0].count)
  })
})

test('[9449-7.1-2] without credentials both schemes are offered, with the algorithms of proofs and no error', async () => {
  const answer = await get({})
  expectProblem(answer, 401, 'credentials_missing')
  expectChallenge(answer, `${BEARER}, ${DPOP}`)
})

test('[9449-7.2-2] a token that is not bound is refused in the scheme DPoP, with a good proof', async () => {
  const answer = await get({ authorization: `DPoP ${unbound}`, dpop: await proofFor(unbound) })
  await expectBadToken(answer, 'not_bound', `${DPOP}, error="invalid_token"`)
  expect((await get({ authorization: `Bearer ${unbound}` })).status).toBe(200)
})

test('[9449-7.2-2] an API token is refused in the scheme DPoP, with a good proof', async () => {
  const { token } = await createApiToken(server, fixture)
  const answer = await get({ authorization: `DPoP ${token}`, dpop: await proofFor(token) })
  await expectBadToken(answer, 'malformed', `${DPOP}, error="invalid_token"`)
})

test.each<[string, () => readonly string[]]>([
  ['Bearer and DPoP', () => [`Bearer ${unbound}`, `DPoP ${bound}`]],
  ['DPoP and Bearer', () => [`DPoP ${bound}`, `Bearer ${unbound}`]],
  ['the same twice', () => [`Bearer ${unbound}`, `Bearer ${unbound}`]],
])('[9449-7.2-3] two Authorization headers are refused: %s', async (_what, authorization) => {
  const headers = { authorization: authorization(), dpop: await proofFor(bound) }
  const answer = await sendRaw(server, { method: 'GET', path: '/api/v1/me', headers })
  expectProblem(answer, 400, 'credentials_ambiguous')
})

describe('nonces', () => {
  test('[9449-9] a proof without one is answered 401 with the one to use', async () => {
    const uri = `${server.issuer}/api/v1/me`
    const dpop = await prover.prove({ method: 'GET', uri, accessToken: bound })
    const answer = await get({ authorization: `DPoP ${bound}`, dpop })
    expectProblem(answer, 401, 'proof_nonce_required')
    expectChallenge(answer, `${DPOP}, error="use_dpop_nonce"`)
    const nonce = answer.headers.get('dpop-nonce') ?? ''
    expect(nonce).toMatch(/^[A-Za-z0-9_-]{22}$/)
    const retry = await prover.prove({ method: 'GET', uri, accessToken: bound, nonce })
    expect((await get({ authorization: `DPoP ${bound}`, dpop: retry }, other)).status).toBe(200)
  })

  test('[9449-9] one of the token endpoint does not hold here, nor one of here there', async () => {
    const claims = { nonce: await prover.tokenNonce() }
    const answer = await prover.call(bound, { claims })
    expectProblem(answer, 401, 'proof_nonce_required')
    expect(answer.headers.get('dpop-nonce')).not.toBe(claims.nonce)
    const there = await prover.requestToken(fixture, { nonce: await prover.managementNonce() })
    expect(there).toMatchObject({ status: 400, body: { error: 'use_dpop_nonce' } })
  })

  test('[9449-8-2] every answer to a good proof bears the next one', async () => {
    expect((await prover.call(bound)).headers.get('dpop-nonce')).toBe(await prover.managementNonce())
  })
})

test('[9449-11.1-1] a proof is good for one call, on whatever node', async () => {
  const headers = { authorization: `DPoP ${bound}`, dpop: await proofFor(bound) }
  const answers = await Promise.all(
    [server, other, server, other].map(async (node) => (await get(headers, node)).status),
  )
  expect(answers.sort()).toEqual([200, 401, 401, 401])
  await expectBadProof(await get(headers), 'proof_replayed')
})

test.each(['x.y.z', 'a, b', ''])('[9449-4.3-2] a header that is no proof is refused: «%s»', async (dpop) => {
  const headers = { authorization: `DPoP ${bound}`, dpop }
  await expectBadProof(
    await sendRaw(server, { method: 'GET', path: '/api/v1/me', headers }),
    'proof_malformed',
  )
})

test('[9449-4.3-9c] a forged Host, an absolute request target and proxy headers change nothing in what must be proven', async () => {
  const forged = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
  for (const target of ['/api/v1/me', 'http://evil.example/api/v1/me']) {
    const send = async (claims = {}) =>
      sendRaw(server, {
        method: 'GET',
        target,
        headers: { ...forged, authorization: `DPoP ${bound}`, dpop: await proofFor(bound, claims) },
      })
    expect((await send()).status).toBe(200)
    expect((await send({ htu: 'https://evil.example/api/v1/me' })).body.code).toBe('proof_invalid')
  }
})
