import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CompactSign } from 'jose'
import { asClient, byAssertion } from '../support/client-assertions.ts'
import { createProver, hash, type Prover } from '../support/dpop.ts'
import { createKeyPair, encode } from '../support/jwt.ts'
import { managementServerId } from '../support/management.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'
import { expectNothingIssued, expectRefusal } from './support.ts'

/**
 * What modules of the OpenID conformance suite ask of metadata and of tokens that are bound by DPoP, by the modules'
 * names: those of the FAPI 2 variant for client credentials. The protected resource is the management API.
 */

const FAPI_ALGORITHMS = ['PS256', 'ES256', 'EdDSA', 'Ed25519']
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/

let server: TestServer
let account: Fixture
let other: Fixture
let prover: Prover
/** A bound token for the management API. */
let token: string

beforeAll(async () => {
  server = await startTestServer()
  account = await createAccount()
  other = await createAccount()
  prover = await createProver(server)
  token = (await must(requestToken(account, prover))).access_token
})
afterAll(() => server.close())

/** As FAPI 2 has it: a key for PS256, and no token without a proof. */
async function createAccount(): Promise<Fixture> {
  const fixture = await server.createFixture({
    algorithm: 'PS256',
    assertionPolicy: { require_dpop: true },
  })
  const management = await managementServerId(server)
  const permissions = [{ resource_server_id: management, permission: 'audit:read' }]
  await must(server.api('PATCH', fixture.accountPath, { permissions }))
  return fixture
}

type Changes = Record<string, unknown>

async function requestToken(of: Fixture, by: Prover, claims: Changes = {}): Promise<Answer> {
  const form = {
    grant_type: 'client_credentials',
    ...byAssertion(await asClient(server, of).assertion({}, { typ: undefined })),
  }
  const dpop = await by.prove({ nonce: await by.tokenNonce() }, claims)
  return server.post('/oauth/token', form, { dpop })
}

const now = () => Math.floor(server.clock.now() / 1000)

describe('FAPI 2.0 Security Profile, client credentials', () => {
  test('fapi2-security-profile-final-discovery-end-point-verification', async () => {
    const { body, headers } = await toAnswer(
      await fetch(`${server.url}/.well-known/oauth-authorization-server`),
    )
    expect(headers.get('content-type')).toMatch(/^application\/json/)
    expect(body.issuer).toBe(server.issuer)
    for (const name of ['token_endpoint', 'jwks_uri', 'revocation_endpoint', 'introspection_endpoint'])
      expect(body[name]).toMatch(new RegExp(`^${server.issuer}/`))
    expect(body.grant_types_supported).toContain('client_credentials')
    expect(body.token_endpoint_auth_methods_supported).toContain('private_key_jwt')
    for (const name of [
      'token_endpoint_auth_signing_alg_values_supported',
      'dpop_signing_alg_values_supported',
    ]) {
      expect(body[name].filter((algorithm: string) => FAPI_ALGORITHMS.includes(algorithm))).not.toEqual([])
      expect(body[name]).not.toContain('none')
    }
    for (const scope of body.scopes_supported ?? []) expect(scope).toMatch(SCOPE_TOKEN)
  })

  test('fapi2-security-profile-final-happy-flow', async () => {
    for (const [fixture, by] of [
      [account, prover],
      [other, await createProver(server)],
    ] as const) {
      const answer = await requestToken(fixture, by)
      expect(answer).toMatchObject({ status: 200, body: { token_type: 'DPoP', scope: 'audit:read' } })
      expect(answer.headers.get('cache-control')).toBe('no-store')
      const called = await by.call(answer.body.access_token)
      expect(called).toMatchObject({ status: 200, body: { account: { id: fixture.accountId } } })
    }
  })

  test.each(['DPoP', 'dpop', 'DPOP', 'dPoP'])(
    'fapi2-security-profile-final-access-token-type-header-case-sensitivity: %s',
    async (scheme) => {
      expect((await prover.call(token, { headers: { authorization: `${scheme} ${token}` } })).status).toBe(
        200,
      )
    },
  )

  test('fapi2-security-profile-final-check-dpop-proof-nbf-exp', async () => {
    const claims = { nbf: now(), exp: now() + 300 }
    expect((await requestToken(account, prover, claims)).status).toBe(200)
    expect((await prover.call(token, { claims })).status).toBe(200)
  })

  test.each([
    ['before', -10],
    ['after', 10],
  ])(
    'fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-%s-succeeds',
    async (_when, seconds) => {
      const claims = { iat: now() + seconds }
      expect((await requestToken(account, prover, claims)).status).toBe(200)
      expect((await prover.call(token, { claims })).status).toBe(200)
    },
  )

  test('fapi2-security-profile-final-ensure-holder-of-key-required', async () => {
    const form = {
      grant_type: 'client_credentials',
      ...byAssertion(await asClient(server, account).assertion()),
    }
    const answer = await expectNothingIssued(server, () => server.post('/oauth/token', form))
    expectRefusal(answer, 400, 'invalid_dpop_proof')
  })
})

describe('fapi2-security-profile-final-dpop-negative-tests', () => {
  /** A call with the bound token under the DPoP scheme. */
  async function callWith(dpop: string | undefined, authorization = `DPoP ${token}`): Promise<Answer> {
    const headers = { authorization, ...(dpop !== undefined && { dpop }) }
    return toAnswer(await fetch(`${server.url}/api/v1/me`, { headers }))
  }

  async function prove(claims: Changes = {}, header: Changes = {}, by: Prover = prover): Promise<string> {
    const terms = {
      method: 'GET',
      uri: `${server.issuer}/api/v1/me`,
      accessToken: token,
      nonce: await by.managementNonce(),
    }
    return by.prove(terms, claims, header)
  }

  function expectRefusedProof(answer: Answer): void {
    expect([400, 401]).toContain(answer.status)
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(answer.headers.get('www-authenticate')).toMatch(
      /^DPoP .*error="(invalid_dpop_proof|invalid_token)"/,
    )
  }

  test('the proof that these are made of is accepted', async () => {
    expect((await callWith(await prove())).status).toBe(200)
  })

  test.each<[string, () => Changes]>([
    ['no jti', () => ({ jti: undefined })],
    ['no htm', () => ({ htm: undefined })],
    ['no htu', () => ({ htu: undefined })],
    ['no iat', () => ({ iat: undefined })],
    ['no ath', () => ({ ath: undefined })],
    ['another method', () => ({ htm: 'POST' })],
    ['the method in lower case', () => ({ htm: 'get' })],
    ['another path', () => ({ htu: `${server.issuer}/api/v1/organizations` })],
    ['the token endpoint', () => ({ htu: server.tokenEndpoint })],
    ['another host', () => ({ htu: 'https://other.example.test/api/v1/me' })],
    ['no URL', () => ({ htu: 'me' })],
    ['the ath of another token', () => ({ ath: hash('another') })],
    ['the token itself as ath', () => ({ ath: token })],
    ['an iat of an hour ago', () => ({ iat: now() - 3600 })],
    ['an iat in an hour', () => ({ iat: now() + 3600 })],
    ['an exp in the past', () => ({ exp: now() - 3600 })],
    ['an nbf in an hour', () => ({ nbf: now() + 3600 })],
  ])('%s', async (_what, change) => {
    expectRefusedProof(await callWith(await prove(change())))
  })

  test.each<[string, Changes]>([
    ['no typ', { typ: undefined }],
    ['the typ of any JWT', { typ: 'JWT' }],
    ['the typ of an access token', { typ: 'at+jwt' }],
    ['no jwk', { jwk: undefined }],
    ['a text for a jwk', { jwk: 'key' }],
  ])('%s', async (_what, header) => {
    expectRefusedProof(await callWith(await prove({}, header)))
  })

  test('a private key in the header', async () => {
    const { privateKey, publicJwk } = prover.keyPair
    const { d } = await crypto.subtle.exportKey('jwk', privateKey)
    expectRefusedProof(await callWith(await prove({}, { jwk: { ...publicJwk, d } })))
  })

  test('another key than the token is bound to', async () => {
    expectRefusedProof(await callWith(await prove({}, {}, await createProver(server))))
  })

  test('a signature by another key than that in the header', async () => {
    const [header = '', claims = ''] = (await prove()).split('.')
    const { privateKey } = await createKeyPair('ES256')
    const signed = await new CompactSign(Buffer.from(claims, 'base64url'))
      .setProtectedHeader(JSON.parse(Buffer.from(header, 'base64url').toString()))
      .sign(privateKey)
    expectRefusedProof(await callWith(signed))
  })

  test.each(['none', 'HS256'])('alg %s', async (alg) => {
    const [, claims] = (await prove()).split('.')
    const header = encode(prover.header({ alg }))
    expectRefusedProof(await callWith(`${header}.${claims}.${alg === 'none' ? '' : 'AAAA'}`))
  })

  test('no proof, the token as Bearer, and one proof twice', async () => {
    expectRefusedProof(await callWith(undefined))
    const bearer = await callWith(undefined, `Bearer ${token}`)
    expect(bearer.status).toBe(401)
    const proof = await prove()
    expect((await callWith(proof)).status).toBe(200)
    expectRefusedProof(await callWith(proof))
  })
})
