import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { digestSecret } from '../../src/tokens/access-token.ts'
import { createApiToken } from '../support/api-tokens.ts'
import { decode } from '../support/jwt.ts'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor } from './support.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** RFC 6750 §2.1 `b64token`: what may stand in an Authorization header. */
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/
const MANY = 500

let server: TestServer
let jwt: Fixture
let opaque: Fixture

beforeAll(async () => {
  server = await startTestServer()
  jwt = await server.createFixture()
  opaque = await server.createFixture({ tokenFormat: 'opaque' })
})
afterAll(() => server.close())

test('[6749-5.1-1][6749-5.1-2][6749-5.1-3][6749-5.1-4] a token comes in the whole envelope, uncacheable, without empty members', async () => {
  for (const fixture of [jwt, opaque]) {
    const answer = await fixture.requestToken()
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json(; charset=utf-8)?$/)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('pragma')).toBe('no-cache')
    expect(answer.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,64}$/)
    expect(answer.body).toEqual({
      access_token: expect.stringMatching(B64TOKEN),
      token_type: 'Bearer',
      expires_in: 900,
      scope: 'read write',
    })
    expect(answer.text).toContain('"expires_in":900,')
  }
})

test('[6749-5.1-3] expires_in is the life time of the token', async () => {
  const answer = await jwt.requestToken()
  const { exp, iat } = decode(answer.body.access_token).claims as { exp: number; iat: number }
  expect(exp - iat).toBe(answer.body.expires_in)
})

test('[6749-4.4-2][7521-4.1-4] there is no refresh token, whichever the grant', async () => {
  const form = { scope: 'read', access_type: 'offline' }
  for (const answer of [
    await jwt.requestToken({ form }),
    await (await createApiToken(server, jwt)).requestToken(form),
  ]) {
    expect(Object.keys(answer.body).sort()).toEqual(['access_token', 'expires_in', 'scope', 'token_type'])
  }
})

test.each([
  'password',
  'foo',
  'urn:x',
  'authorization_code',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:saml2-bearer',
  'jwt-bearer',
])('[6749-4.5-1] the grant type %s is not supported', async (grantType) => {
  const answer = await expectNothingIssued(server, () =>
    jwt.requestToken({ form: { grant_type: grantType, username: 'a', password: 'b' } }),
  )
  await expectRefusalFor(server, answer, {
    error: 'unsupported_grant_type',
    reason: 'grant_type_unsupported',
  })
})

test('[6749-4.5-2] a request without a grant type is refused', async () => {
  const assertion = await jwt.assertion()
  const answer = await expectNothingIssued(server, () => server.post('/oauth/token', { assertion }))
  await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'parameter_missing' })
})

test.each([
  JWT_BEARER.toUpperCase(),
  `${JWT_BEARER} `,
  ` ${JWT_BEARER}`,
  `${JWT_BEARER}/`,
  'urn:IETF:params:oauth:grant-type:jwt-bearer',
  encodeURIComponent(JWT_BEARER),
])('[6749-4.5-3] the grant type %j is not the one it looks like', async (grantType) => {
  const answer = await expectNothingIssued(server, () =>
    jwt.requestToken({ form: { grant_type: grantType } }),
  )
  await expectRefusalFor(server, answer, {
    error: 'unsupported_grant_type',
    reason: 'grant_type_unsupported',
  })
})

test('[6749-5.1-5][6749-10.10] a thousand tokens fit a Bearer header, differ, and opaque ones bear 256 random bits, stored as a digest only', async () => {
  const tokens = { jwt: await getMany(jwt), opaque: await getMany(opaque) }
  for (const token of [...tokens.jwt, ...tokens.opaque]) expect(token).toMatch(B64TOKEN)
  expect(new Set([...tokens.jwt, ...tokens.opaque]).size).toBe(2 * MANY)

  const secrets = tokens.opaque.map((token) => Buffer.from(token.slice('cst_'.length), 'base64url'))
  for (const secret of secrets) expect(secret.length).toBe(32)
  expectEveryBitFair(secrets)

  const { rows } = await sql<{ digest: Buffer; text: string }>`
    select token_digest as digest, g::text as text from grant_records g where token_digest is not null`.execute(
    server.connection.db,
  )
  const digests = new Set(rows.map((row) => row.digest.toString('hex')))
  for (const token of tokens.opaque) {
    expect(digests.has(createHash('sha256').update(token).digest('hex'))).toBe(true)
    expect(digests.has(digestSecret(token).toString('hex'))).toBe(true)
  }
  const stored = rows.map((row) => row.text).join('\n')
  for (const token of tokens.opaque) expect(stored.includes(token)).toBe(false)
}, 60_000)

/** One assertion without a `jti` may be used as often as one likes. */
async function getMany(fixture: Fixture): Promise<string[]> {
  const assertion = await fixture.assertion({ jti: undefined })
  const tokens: string[] = []
  const work = Array.from({ length: 20 }, async () => {
    for (let count = 0; count < MANY / 20; count++) {
      const { body } = await fixture.requestToken({ assertion })
      tokens.push(body.access_token)
    }
  })
  await Promise.all(work)
  return tokens
}

/** Each bit is set in about half of the secrets: seven standard deviations are allowed. */
function expectEveryBitFair(secrets: readonly Buffer[]): void {
  const tolerance = (7 * Math.sqrt(secrets.length)) / 2
  for (let bit = 0; bit < 256; bit++) {
    const ones = secrets.filter((secret) => ((secret[bit >> 3] ?? 0) >> (bit & 7)) & 1).length
    expect(Math.abs(ones - secrets.length / 2)).toBeLessThan(tolerance)
  }
}
