import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createApiToken } from '../support/api-tokens.ts'
import { createProver, type Prover } from '../support/dpop.ts'
import { decode, signCompact } from '../support/jwt.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor } from './support.ts'

/** RFC 9449 §5 to §8 at the token endpoint, and what introspection says of bound tokens. */

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

let server: TestServer
/** Another node of the same installation. */
let other: TestServer
let fixture: Fixture
let prover: Prover

beforeAll(async () => {
  server = await startTestServer()
  other = await startTestServer({
    connection: server.connection,
    clock: server.clock,
    issuer: server.issuer,
  })
  fixture = await server.createFixture({ algorithm: 'ES256' })
  prover = await createProver(server)
})

afterAll(async () => {
  await other.close()
  await server.close()
})

const tokenForm = async (by: Fixture = fixture) => ({
  grant_type: JWT_BEARER,
  assertion: await by.assertion(),
})

async function requestWith(dpop: string, on: TestServer = server, by: Fixture = fixture): Promise<Answer> {
  return on.post('/oauth/token', await tokenForm(by), { dpop })
}

/** An answer that asks for another proof, with the nonce for it (RFC 9449 §8). */
async function expectNonceAsked(answer: Answer): Promise<string> {
  await expectRefusalFor(server, answer, { error: 'use_dpop_nonce', reason: 'proof_nonce_required' })
  expect(answer.headers.get('dpop-nonce')).toMatch(/^[A-Za-z0-9_-]{22}$/)
  return answer.headers.get('dpop-nonce') ?? ''
}

describe('a token is bound to the key of the proof', () => {
  test.each(['jwt', 'opaque'] as const)(
    '[9449-5-1][9449-6-1][7662-dpop] a %s token by an assertion',
    async (tokenFormat) => {
      const by = await server.createFixture({ algorithm: 'ES256', tokenFormat })
      const { status, body } = await prover.requestToken(by)
      expect({ status, type: body.token_type }).toEqual({ status: 200, type: 'DPoP' })
      if (tokenFormat === 'jwt') expect(decode(body.access_token).claims.cnf).toEqual({ jkt: prover.jkt })
      // Introspection wants no proof.
      const told = (await by.introspect(body.access_token)).body
      expect(told).toMatchObject({ active: true, token_type: 'DPoP', cnf: { jkt: prover.jkt } })
    },
  )

  test('[9449-5-1][9449-6-1] a token by client_credentials', async () => {
    const { authorization } = await createApiToken(server, fixture)
    const dpop = await prover.prove({ nonce: await prover.tokenNonce() })
    const form = { grant_type: 'client_credentials' }
    const { status, body } = await server.post('/oauth/token', form, { authorization, dpop })
    expect({ status, type: body.token_type }).toEqual({ status: 200, type: 'DPoP' })
    expect(decode(body.access_token).claims.cnf).toEqual({ jkt: prover.jkt })
    expect((await fixture.introspect(body.access_token)).body.cnf).toEqual({ jkt: prover.jkt })
  })

  test('a token without a proof is bound to nothing, and says so nowhere', async () => {
    const { body, headers } = await fixture.requestToken()
    expect(body.token_type).toBe('Bearer')
    expect(headers.has('dpop-nonce')).toBe(false)
    expect(decode(body.access_token).claims).not.toHaveProperty('cnf')
    const told = (await fixture.introspect(body.access_token)).body
    expect(told.token_type).toBe('Bearer')
    expect(told).not.toHaveProperty('cnf')
  })

  test('[9449-11.p] also when that is the account’s own key: the proof decides, not the assertion', async () => {
    const holder = await createProver(server)
    const { publicJwk, privateKey } = fixture.keyPair
    const proof = await signCompact(
      holder.header({ jwk: publicJwk }),
      holder.claims({ nonce: await holder.tokenNonce() }),
      privateKey,
    )
    expect((await requestWith(proof)).body.token_type).toBe('DPoP')
  })

  test('a key that is spelled otherwise is the same key', async () => {
    const holder = await createProver(server, 'RS256')
    const n = Buffer.from(holder.keyPair.publicJwk.n ?? '', 'base64url')
    const jwk = {
      ...holder.keyPair.publicJwk,
      n: Buffer.concat([Buffer.of(0), n]).toString('base64url'),
      kid: 'any',
    }
    const { body } = await holder.requestToken(fixture, {}, { jwk })
    expect((await fixture.introspect(body.access_token)).body.cnf).toEqual({ jkt: holder.jkt })
  })

  test('the account’s list of tokens and the trail say to what it is bound', async () => {
    const by = await server.createFixture({ algorithm: 'ES256' })
    const { jti } = decode(await prover.getToken(by)).claims
    await by.getToken()
    const tokens = (await must(server.api('GET', `${by.accountPath}/tokens`))).items
    expect(tokens.map((token: { cnf: unknown }) => token.cnf)).toEqual([null, { jkt: prover.jkt }])
    const path = `/organizations/${by.organizationId}/audit-events?target=${jti}`
    const [event] = (await must(server.api('GET', path))).items
    expect(event.changes.after).toMatchObject({ cnf: { jkt: prover.jkt } })
  })
})

describe('no request with a proof gets a Bearer token', () => {
  test('[9449-5-2] not when the proof does not hold', async () => {
    const proof = await prover.prove({ nonce: await prover.tokenNonce() }, { htm: 'GET' })
    const answer = await expectNothingIssued(server, () => requestWith(proof))
    await expectRefusalFor(server, answer, { error: 'invalid_dpop_proof', reason: 'proof_mismatch' })
  })

  test('[9449-5-3] not where the resource server takes no bound tokens: refused, and an unbound one is to be had', async () => {
    const by = await server.createFixture({ algorithm: 'ES256' })
    const path = `/resource-servers/${by.resourceServer.id}`
    await must(server.api('PATCH', path, { sender_constraints: ['mtls'] }))
    const proof = await prover.prove({ nonce: await prover.tokenNonce() })
    const answer = await expectNothingIssued(server, () => requestWith(proof, server, by))
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'binding_unsupported' })
    expect((await by.requestToken()).body.token_type).toBe('Bearer')
  })
})

describe('an account that must send proofs', () => {
  const assertionPolicy = { require_dpop: true }

  test('[9449-5.2] gets no token without one, by any grant, and the trail says why', async () => {
    const by = await server.createFixture({ algorithm: 'ES256', assertionPolicy })
    const { requestToken } = await createApiToken(server, by)
    for (const send of [() => by.requestToken(), () => requestToken()]) {
      const answer = await expectNothingIssued(server, send)
      await expectRefusalFor(server, answer, { error: 'invalid_dpop_proof', reason: 'proof_required' })
    }
    expect((await prover.requestToken(by)).body.token_type).toBe('DPoP')
  })

  test('[9449-5.2] is not there for an assertion that does not hold: that is refused first', async () => {
    const by = await server.createFixture({ algorithm: 'ES256', assertionPolicy })
    const assertion = await by.assertion({ aud: 'https://evil.example' })
    const answer = await by.requestToken({ assertion })
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'audience_mismatch' })
  })
})

describe('nonces', () => {
  test('[9449-4.3-10] a proof without one is answered with the one to use, and then gets a token', async () => {
    const form = await tokenForm()
    const send = async (nonce?: string) =>
      server.post('/oauth/token', form, { dpop: await prover.prove({ nonce }) })
    const nonce = await expectNonceAsked(await expectNothingIssued(server, () => send()))
    // The same assertion: being asked has not used it up.
    expect((await send(nonce)).status).toBe(200)
  })

  test.each(['x', '', 'AAAAAAAAAAAAAAAAAAAAAA', 'é', '💣'.repeat(1000)])(
    '[9449-4.3-10] one that the server never gave out is refused: %.30s',
    async (nonce) => {
      await expectNonceAsked(await requestWith(await prover.prove({ nonce })))
    },
  )

  test('[9449-4.3-10] one that is old is refused, one that is two minutes old is not', async () => {
    const nonce = await prover.tokenNonce()
    server.clock.advance(120)
    expect((await requestWith(await prover.prove({ nonce }))).status).toBe(200)
    server.clock.advance(120)
    const next = await expectNonceAsked(await requestWith(await prover.prove({ nonce })))
    expect(next).not.toBe(nonce)
    expect((await requestWith(await prover.prove({ nonce: next }))).status).toBe(200)
  })

  test('[9449-8-1] one holds on every node and after a restart; what is no nonce holds nowhere', async () => {
    const nonce = await prover.tokenNonce()
    const restarted = await startTestServer({
      connection: server.connection,
      clock: server.clock,
      issuer: server.issuer,
    })
    for (const node of [server, other, restarted]) {
      expect((await requestWith(await prover.prove({ nonce }), node)).status).toBe(200)
      const guess = `${nonce.slice(0, -2)}${nonce.endsWith('AA') ? 'BB' : 'AA'}`
      expect((await requestWith(await prover.prove({ nonce: guess }), node)).body.error).toBe(
        'use_dpop_nonce',
      )
    }
    await restarted.close()
  })

  test('[9449-8-2] a token comes with the nonce for the next proof', async () => {
    const { headers, status } = await requestWith(await prover.prove({ nonce: await prover.tokenNonce() }))
    expect(status).toBe(200)
    const nonce = headers.get('dpop-nonce') ?? ''
    expect((await requestWith(await prover.prove({ nonce }))).status).toBe(200)
    expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([])
  })

  test('[9449-11.3] who has got one cannot go back to proofs without', async () => {
    const nonce = await prover.tokenNonce()
    expect((await requestWith(await prover.prove({ nonce }))).status).toBe(200)
    await expectNonceAsked(await requestWith(await prover.prove()))
  })
})

describe('a proof is good once', () => {
  test('[9449-11.1-1] on every node, and also for another request of another account', async () => {
    const proof = await prover.prove({ nonce: await prover.tokenNonce() })
    expect((await requestWith(proof)).status).toBe(200)
    const stranger = await server.createFixture({ algorithm: 'ES256' })
    for (const [node, by] of [
      [server, fixture],
      [other, fixture],
      [other, stranger],
    ] as const) {
      const answer = await expectNothingIssued(server, () => requestWith(proof, node, by))
      await expectRefusalFor(node, answer, { error: 'invalid_dpop_proof', reason: 'proof_replayed' })
    }
  })

  test('[9449-11.1-1] of many that come at a time, on two nodes, one is answered', async () => {
    const proof = await prover.prove({ nonce: await prover.tokenNonce() })
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => requestWith(proof, index % 2 === 0 ? server : other)),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ body }) => body.error === 'invalid_dpop_proof')).toHaveLength(19)
  })

  test('[9449-11.1-1] its jti is not used up by another key', async () => {
    const thief = await createProver(server)
    const jti = 'the-same'
    const nonce = await prover.tokenNonce()
    for (const holder of [thief, prover]) {
      expect((await requestWith(await holder.prove({ nonce }, { jti }))).status).toBe(200)
    }
  })

  test('[9449-11.1-1] a request that is refused before uses none up', async () => {
    const proof = await prover.prove({ nonce: await prover.tokenNonce() })
    const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion({ aud: 'x' }) }
    expect((await server.post('/oauth/token', form, { dpop: proof })).body.error).toBe('invalid_grant')
    expect((await requestWith(proof)).status).toBe(200)
  })

  test('[9449-11.1-1] an assertion that was used before uses its proof up, and the other way round', async () => {
    const form = await tokenForm()
    const nonce = await prover.tokenNonce()
    const proofs = [await prover.prove({ nonce }), await prover.prove({ nonce })]
    const send = (assertion: string, dpop: string) =>
      server.post('/oauth/token', { grant_type: JWT_BEARER, assertion }, { dpop })
    expect((await send(form.assertion, proofs[0]!)).status).toBe(200)
    expect((await send(form.assertion, proofs[1]!)).body.error).toBe('invalid_grant')
    const fresh = await fixture.assertion()
    expect((await send(fresh, proofs[0]!)).body.error).toBe('invalid_dpop_proof')
    // The refusal of the proof has not used up the assertion.
    expect((await send(fresh, await prover.prove({ nonce }))).status).toBe(200)
  })
})

test('a token with a proof costs the database no more round trips than one without', async () => {
  const dpop = await prover.prove({ nonce: await prover.tokenNonce() })
  const forms = [await tokenForm(), await tokenForm()]
  const { pool } = server.connection
  const query = pool.query
  const seen: unknown[] = []
  pool.query = ((config: { name?: string }, ...rest: unknown[]) => {
    seen.push(config.name)
    return Reflect.apply(query, pool, [config, ...rest])
  }) as typeof query
  try {
    expect((await server.post('/oauth/token', forms[0]!)).body.token_type).toBe('Bearer')
    expect((await server.post('/oauth/token', forms[1]!, { dpop })).body.token_type).toBe('DPoP')
  } finally {
    pool.query = query
  }
  expect(seen).toEqual(['find-issuers', 'record-grants', 'find-issuers', 'record-grants'])
})

test('[9449-err] a DPoP header means nothing at introspection, whatever stands in it', async () => {
  const token = await prover.getToken(fixture)
  const { authorization } = fixture.resourceServer
  for (const dpop of ['x', 'a.b.c', await prover.prove()]) {
    const answer = await server.post('/oauth/introspect', { token }, { authorization, dpop })
    expect(answer.body).toMatchObject({ active: true, cnf: { jkt: prover.jkt } })
    expect(answer.headers.has('dpop-nonce')).toBe(false)
  }
})

describe('a resource server that does not look at cnf', () => {
  test('[7662-downgrade] is told that a bound token is inactive, and an unbound one active', async () => {
    const by = await server.createFixture({ algorithm: 'ES256', tokenFormat: 'opaque' })
    const [bound, unbound] = [await prover.getToken(by), await by.getToken()]
    const path = `/resource-servers/${by.resourceServer.id}`
    await must(server.api('PATCH', path, { sender_constraints: [] }))
    expect((await by.introspect(bound)).body).toEqual({ active: false })
    expect((await by.introspect(unbound)).body.active).toBe(true)
    await must(server.api('PATCH', path, { sender_constraints: ['mtls', 'dpop'] }))
    expect((await by.introspect(bound)).body.active).toBe(true)
    expect((await must(server.api('GET', path))).sender_constraints).toEqual(['dpop', 'mtls'])
  })

  test('[7662-downgrade] a bound token authorizes no introspection as a Bearer token', async () => {
    const by = await server.createFixture({ algorithm: 'ES256', permissions: ['read', 'tokens:introspect'] })
    const [bound, unbound, token] = [await prover.getToken(by), await by.getToken(), await by.getToken()]
    const ask = (bearer: string) =>
      server.post('/oauth/introspect', { token }, { authorization: `Bearer ${bearer}` })
    expect((await ask(unbound)).body.active).toBe(true)
    const answer = await ask(bound)
    await expectRefusalFor(server, answer, { status: 401, error: 'invalid_token', reason: 'token_invalid' })
  })
})

test('[9700-2.2.1] bound tokens are to be had, and advertised', async () => {
  const metadata = await (await fetch(`${server.url}/.well-known/oauth-authorization-server`)).json()
  expect(metadata).toMatchObject({
    dpop_signing_alg_values_supported: ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
  })
})
