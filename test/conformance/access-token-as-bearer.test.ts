import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { exportSPKI, SignJWT } from 'jose'
import type { KeyRing } from '../../src/signing/key-ring.ts'
import { createKeyPair, decode, encode, signCompact } from '../support/jwt.ts'
import { type Answer, type Fixture, startTestServer, type TestServer, toAnswer } from '../support/server.ts'
import { findLogLine } from './support.ts'

let server: TestServer
let keyRing: KeyRing
let fixture: Fixture
/** A good access token for the management API, taken apart. */
let good: { header: Record<string, unknown>; claims: Record<string, unknown> }

beforeAll(async () => {
  server = await startTestServer()
  keyRing = server.keyRing
  fixture = await server.createFixture()
  good = decode(await server.operatorToken())
})

afterAll(() => server.close())

async function callWith(token: string): Promise<Answer> {
  return toAnswer(
    await fetch(`${server.issuer}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } }),
  )
}

/** The good token with members changed, under the server's own signature. */
async function signed(
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  const key = await keyRing.activeKey('ES256')
  return signCompact({ ...good.header, ...header }, { ...good.claims, ...claims }, key.privateKey)
}

/** The classic: the public key as an HMAC secret. */
async function signedWithPublicKey(): Promise<string> {
  const { publicKey } = (await keyRing.verificationKey(String(good.header.kid)))!
  return new SignJWT(good.claims)
    .setProtectedHeader({ ...good.header, alg: 'HS256' })
    .sign(new TextEncoder().encode(await exportSPKI(publicKey)))
}

test('[9068-4-2] the control: the same token, signed again, is accepted', async () => {
  expect((await callWith(await signed({}))).status).toBe(200)
})

describe('the management API accepts no JWT but its own access tokens', () => {
  test.each<[string, string, string, () => Promise<string> | string]>([
    [
      '9068-4-1',
      'an assertion',
      'signature_invalid',
      () => fixture.assertion({ aud: `${server.issuer}/api/v1` }),
    ],
    ['9068-4-1', 'a typ of JWT', 'signature_invalid', () => signed({}, { typ: 'JWT' })],
    [
      '9068-4-1',
      'an introspection answer’s typ',
      'signature_invalid',
      () => signed({}, { typ: 'token-introspection+jwt' }),
    ],
    ['9068-4-1', 'no typ', 'signature_invalid', () => signed({}, { typ: undefined })],
    ['9068-4-2', 'another iss', 'signature_invalid', () => signed({ iss: `${server.issuer}/` })],
    ['9068-4-2', 'another audience', 'other_audience', () => fixture.getToken()],
    [
      '9068-4-2',
      'an unpublished key',
      'signature_invalid',
      async () => signCompact(good.header, good.claims, (await createKeyPair('ES256')).privateKey),
    ],
    [
      '9068-4-2',
      'an exp that is past',
      'expired',
      () => signed({ exp: Math.floor(server.clock.now() / 1000) }),
    ],
    [
      '9068-4-2',
      'the alg none',
      'signature_invalid',
      () => `${encode({ ...good.header, alg: 'none' })}.${encode(good.claims)}.AA`,
    ],
    ['9068-4-2', 'the public key as a secret', 'signature_invalid', signedWithPublicKey],
    [
      '9068-4-2',
      'a jku of its own',
      'signature_invalid',
      async () => {
        const pair = await createKeyPair('ES256')
        const header = { ...good.header, jku: 'https://evil.example/jwks.json', jwk: pair.publicJwk }
        return signCompact(header, good.claims, pair.privateKey)
      },
    ],
  ])('[%s] %s is refused (the log says %s)', async (_row, _what, why, make) => {
    const answer = await callWith(await make())
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer .*error="invalid_token"/)
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.body).toMatchObject({ status: 401, code: 'token_invalid' })
    expect(await findLogLine(server, answer)).toMatchObject({ reason: 'token_invalid', detail: { why } })
  })
})
