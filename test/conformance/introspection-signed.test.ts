import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { byAssertion, createCaller } from '../support/client-assertions.ts'
import { decode } from '../support/jwt.ts'
import { expectProblem } from '../support/management.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'
import { expectNothingIssued, expectRefusal } from './support.ts'

const SIGNED = 'application/token-introspection+jwt'

let server: TestServer
let fixture: Fixture
let other: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256', permissions: ['read', 'tokens:introspect'] })
  other = await server.createFixture({ algorithm: 'ES256' })
})
afterAll(() => server.close())

function ask(token: string, accept: string | undefined = SIGNED, of: Fixture = fixture): Promise<Answer> {
  const { authorization } = of.resourceServer
  return server.post('/oauth/introspect', { token }, { authorization, ...(accept && { accept }) })
}

/** A signed answer, verified with the published keys as a resource server would. */
async function verified(answer: Answer, of: Fixture = fixture) {
  expect(answer.status).toBe(200)
  const jwks = (await toAnswer(await fetch(`${server.url}/.well-known/jwks.json`))).body
  return jwtVerify(answer.text, createLocalJWKSet(jwks), {
    issuer: server.issuer,
    audience: of.resourceServer.id,
    typ: 'token-introspection+jwt',
    currentDate: new Date(server.clock.now()),
  })
}

describe('which form the answer has', () => {
  test('[9701-4-1] who asks for a JWT gets one, of that media type and not to be kept', async () => {
    const answer = await ask(await fixture.getToken())
    expect(answer.headers.get('content-type')).toBe(SIGNED)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.text).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
  })

  test.each([
    `${SIGNED};q=1, application/json;q=0.5`,
    `application/json;q=0.1, ${SIGNED}`,
    SIGNED.toUpperCase(),
    `${SIGNED}, */*;q=0.1`,
  ])('[9701-4-1] Accept: %s asks for a JWT', async (accept) => {
    expect((await ask(await fixture.getToken(), accept)).headers.get('content-type')).toBe(SIGNED)
  })

  test.each([
    '*/*',
    'application/*',
    'application/json',
    '',
    `${SIGNED};q=0.1, application/json`,
    `${SIGNED};q=0`,
    'text/html',
    'token-introspection+jwt',
    'garbage;;q=,',
  ])('[9701-4-2] Accept: «%s» is answered in JSON', async (accept) => {
    const answer = await ask(await fixture.getToken(), accept)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(answer.body.active).toBe(true)
  })
})

describe('RFC 9701 §5: the JWT', () => {
  test('[9701-5-1][9701-5-2][9701-5-3] names its kind, its issuer, who has asked and when, and nothing of a token’s own', async () => {
    const seconds = () => Math.floor(server.clock.now() / 1000)
    const before = seconds()
    const { protectedHeader, payload } = await verified(await ask(await fixture.getToken()))
    expect(protectedHeader).toEqual({
      alg: 'RS256',
      typ: 'token-introspection+jwt',
      kid: expect.stringMatching(/^sig_/),
    })
    expect(payload).toEqual({
      iss: server.issuer,
      aud: fixture.resourceServer.id,
      iat: expect.any(Number),
      token_introspection: expect.objectContaining({ active: true }),
    })
    expect(payload.iat).toBeGreaterThanOrEqual(before)
    expect(payload.iat).toBeLessThanOrEqual(seconds())
  })

  test('[9701-5-2] says exactly what the JSON says', async () => {
    const token = await fixture.getToken()
    const { payload } = await verified(await ask(token))
    expect(payload.token_introspection).toEqual((await ask(token, 'application/json')).body)
  })

  test('[9701-5-2] names the resource server also to callers by assertion or token', async () => {
    const token = await fixture.getToken()
    const caller = await createCaller(server, fixture.resourceServer.id)
    const form = { token, ...byAssertion(await caller.assertion()) }
    const byKey = await server.post('/oauth/introspect', form, { accept: SIGNED })
    const bearer = await fixture.getToken()
    const byToken = await server.post(
      '/oauth/introspect',
      { token },
      { accept: SIGNED, authorization: `Bearer ${bearer}` },
    )
    for (const answer of [byKey, byToken])
      expect((await verified(answer)).payload.token_introspection).toMatchObject({ active: true })
  })

  test('[9701-5-4] of a token that does not hold, or is for another, it says that alone', async () => {
    const revoked = await fixture.getToken()
    await must(server.api('DELETE', `${fixture.accountPath}/tokens`))
    for (const token of ['x', 'a.b.c', revoked, await other.getToken()]) {
      const { payload } = await verified(await ask(token))
      expect(payload.token_introspection).toEqual({ active: false })
    }
  })

  test('[9701-5-5] who does not authenticate gets no JWT', async () => {
    const answer = await server.post('/oauth/introspect', { token: 'x' }, { accept: SIGNED })
    expectRefusal(answer, 400, 'invalid_client')
  })

  test('[9701-5-6] the scope is what the resource server may see of it', async () => {
    const token = await fixture.getToken({ scope: 'read' })
    const { payload } = await verified(await ask(token))
    expect(payload.token_introspection).toMatchObject({
      scope: 'read',
      aud: fixture.resourceServer.identifier,
    })
    expect((await verified(await ask(token, SIGNED, other), other)).payload.token_introspection).toEqual({
      active: false,
    })
  })

  test('[9701-5-7] encryption is not offered: a resource server that asks for it is refused', async () => {
    const path = `/resource-servers/${fixture.resourceServer.id}`
    for (const member of ['introspection_encrypted_response_alg', 'introspection_encrypted_response_enc']) {
      expectProblem(await server.api('PATCH', path, { [member]: 'RSA-OAEP-256' }), 422, 'input_invalid')
    }
    const { body } = await toAnswer(await fetch(`${server.url}/.well-known/oauth-authorization-server`))
    expect(Object.keys(body).filter((name) => /introspection_encr/.test(name))).toEqual([])
  })
})

describe('RFC 9701 §6: the algorithm', () => {
  test('[9701-6] is RS256 unless the resource server has chosen another', async () => {
    const path = `/resource-servers/${other.resourceServer.id}`
    expect((await must(server.api('GET', path))).introspection_signing_algorithm).toBe('RS256')
    for (const algorithm of ['ES256', 'EdDSA', 'RS256']) {
      await must(server.api('PATCH', path, { introspection_signing_algorithm: algorithm }))
      const { protectedHeader } = await verified(await ask(await other.getToken(), SIGNED, other), other)
      expect(protectedHeader.alg).toBe(algorithm)
    }
  })

  test.each(['none', 'HS256', 'PS256', ''])('[9701-6] «%s» is refused', async (algorithm) => {
    const path = `/resource-servers/${other.resourceServer.id}`
    const answer = await server.api('PATCH', path, { introspection_signing_algorithm: algorithm })
    expectProblem(answer, 422, 'input_invalid')
  })

  test('[9701-7] those that can be chosen stand in the metadata', async () => {
    const { body } = await toAnswer(await fetch(`${server.url}/.well-known/oauth-authorization-server`))
    expect(body.introspection_signing_alg_values_supported).toEqual(['ES256', 'RS256', 'EdDSA'])
  })
})

test('[9701-8][9068-4-1] a signed answer is no access token, no assertion, and no token to ask about', async () => {
  const jwt = (await ask(await fixture.getToken())).text
  const bearer = await toAnswer(
    await fetch(`${server.url}/api/v1/me`, { headers: { authorization: `Bearer ${jwt}` } }),
  )
  expect(bearer.status).toBe(401)
  expect(bearer.headers.get('www-authenticate')).toContain('error="invalid_token"')
  expect((await ask(jwt, 'application/json')).body).toEqual({ active: false })
  const grant = await expectNothingIssued(server, () => fixture.requestToken({ assertion: jwt }))
  expectRefusal(grant, 400, 'invalid_grant')
  const client = await server.post('/oauth/introspect', { token: jwt, ...byAssertion(jwt) })
  expectRefusal(client, 401, 'invalid_client')
  expect(decode(jwt).claims).not.toHaveProperty('sub')
})
