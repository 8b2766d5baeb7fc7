import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createProver, type Prover } from '../support/dpop.ts'
import { createKeyPair, encode, signCompact } from '../support/jwt.ts'
import { sendRaw } from '../support/raw-request.ts'
import { type Answer, type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor } from './support.ts'

/** RFC 9449 §4.3 at the token endpoint, fault by fault. */

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const FORM = 'application/x-www-form-urlencoded'

let server: TestServer
let fixture: Fixture
let prover: Prover

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  prover = await createProver(server)
})

afterAll(() => server.close())

/** A token request that is good but for its proof. */
async function requestWith(dpop: string): Promise<Answer> {
  const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion() }
  return server.post('/oauth/token', form, { dpop })
}

async function expectRefused(
  send: () => Promise<Answer>,
  reason: string,
  error = 'invalid_dpop_proof',
): Promise<Answer> {
  const answer = await expectNothingIssued(server, send)
  await expectRefusalFor(server, answer, { error, reason })
  return answer
}

/** A proof with a known nonce, so that it is refused for what is changed and nothing else. */
async function prove(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
  return prover.prove({ nonce: await prover.tokenNonce() }, claims, header)
}

const now = () => Math.floor(server.clock.now() / 1000)

test('[9449-5-1] the proof that all of these are made of gets a token that is bound to its key', async () => {
  const answer = await requestWith(await prove())
  expect({ status: answer.status, body: answer.body }).toEqual({
    status: 200,
    body: { access_token: expect.any(String), token_type: 'DPoP', expires_in: 900, scope: 'read write' },
  })
})

describe('1: one DPoP header', () => {
  test('[9449-4.3-1] two headers are refused', async () => {
    const body = new URLSearchParams({ grant_type: JWT_BEARER, assertion: await fixture.assertion() })
    const proofs = [await prove(), await prove()]
    await expectRefused(
      () => sendRaw(server, { headers: { 'content-type': FORM, dpop: proofs }, body: body.toString() }),
      'proof_malformed',
    )
  })

  test.each([',', ', ', ' '])(
    '[9449-4.3-1] two proofs in one header, joined by «%s», are refused',
    async (by) => {
      const both = [await prove(), await prove()].join(by)
      await expectRefused(() => requestWith(both), 'proof_malformed')
    },
  )

  test('[9449-4.3-1] an empty header is no request without a proof', async () => {
    const body = new URLSearchParams({ grant_type: JWT_BEARER, assertion: await fixture.assertion() })
    await expectRefused(
      () => sendRaw(server, { headers: { 'content-type': FORM, dpop: '' }, body: body.toString() }),
      'proof_malformed',
    )
  })
})

test.each<[string, (proof: string) => string]>([
  ['no JWT', () => 'x.y.z'],
  ['two parts', (proof) => proof.split('.').slice(0, 2).join('.')],
  ['a JWE', (proof) => `${proof}.e30.e30`],
  ['a space within', (proof) => proof.replace('.', ' .')],
  ['padding', (proof) => `${proof}==`],
  ['quotes around it', (proof) => `"${proof}"`],
  ['a scheme before it', (proof) => `DPoP ${proof}`],
  ['the JSON serialisation', (proof) => JSON.stringify({ payload: proof.split('.')[1], signature: 'x' })],
  ['8 KiB and more', (proof) => proof + 'A'.repeat(8192)],
])('[9449-4.3-2] %s is refused', async (_what, change) => {
  const changed = change(await prove())
  await expectRefused(() => requestWith(changed), 'proof_malformed')
})

describe('3: the claims that a proof must have', () => {
  const WRONG: Record<string, readonly unknown[]> = {
    jti: [undefined, 1, '', null, ['a'], 'a'.repeat(256), 'a\u0000', '\ud800'],
    htm: [undefined, 1, null, ['POST']],
    htu: [undefined, 1, null, {}],
    iat: [undefined, '1', null, -1, 0, 1e20, true],
    nbf: ['1', null],
    exp: ['1', null, 1e20],
    ath: [1, null],
    nonce: [1, null, {}],
  }

  test.each(Object.entries(WRONG).flatMap(([name, values]) => values.map((value) => [name, value] as const)))(
    '[9449-4.3-3] %s of %j is refused',
    async (name, value) => {
      await expectRefused(async () => requestWith(await prove({ [name]: value })), 'proof_malformed')
    },
  )
})

test.each([undefined, 'JWT', 'at+jwt', 'authorization-grant+jwt', 'dpop', 'dpop+jwt; x'])(
  '[9449-4.3-4] typ %s is refused',
  async (typ) => {
    await expectRefused(async () => requestWith(await prove({}, { typ })), 'proof_malformed')
  },
)

describe('5: an asymmetric algorithm of the list', () => {
  test.each(['none', 'HS256', 'HS512', 'RS512', 'PS384', 'ES512', 'ES256K', 'es256', ''])(
    '[9449-4.3-5] alg %j in the header is refused',
    async (alg) => {
      const [, payload, signature] = (await prove()).split('.')
      const changed = [encode(prover.header({ alg })), payload, signature].join('.')
      await expectRefused(() => requestWith(changed), 'proof_malformed')
    },
  )

  test('[9449-4.3-5] no alg is refused', async () => {
    const [, payload, signature] = (await prove()).split('.')
    const changed = [encode(prover.header({ alg: undefined })), payload, signature].join('.')
    await expectRefused(() => requestWith(changed), 'proof_malformed')
  })

  test('[9449-4.3-5] HS256 under a symmetric jwk is refused', async () => {
    const secret = crypto.getRandomValues(new Uint8Array(32))
    const jwk = { kty: 'oct', k: Buffer.from(secret).toString('base64url') }
    const proof = await signCompact(
      prover.header({ alg: 'HS256', jwk }),
      prover.claims({ nonce: await prover.tokenNonce() }),
      secret as never,
    )
    await expectRefused(() => requestWith(proof), 'proof_malformed')
  })

  test.each([
    ['RS256', 'ES256'],
    ['ES384', 'ES256'],
    ['EdDSA', 'ES384'],
  ])('[9449-4.3-5] %s over a key for %s is refused', async (alg, algorithm) => {
    const [pair, other] = [await createKeyPair(alg), await createKeyPair(algorithm)]
    const nonce = await prover.tokenNonce()
    const proof = await signCompact(
      prover.header({ alg, jwk: other.publicJwk }),
      prover.claims({ nonce }),
      pair.privateKey,
    )
    await expectRefused(() => requestWith(proof), 'proof_key_unusable')
  })

  test.each(['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'])(
    '[9449-4.3-5] %s is advertised and accepted',
    async (algorithm) => {
      const other = await createProver(server, algorithm)
      const { status, body } = await other.requestToken(fixture)
      expect({ status, type: body.token_type }).toEqual({ status: 200, type: 'DPoP' })
      const token = (await fixture.introspect(body.access_token)).body
      expect(token.cnf).toEqual({ jkt: other.jkt })
    },
  )
})

describe('6: a signature by the embedded key', () => {
  test('[9449-4.3-6] a flipped bit is refused', async () => {
    const [header, payload, signature = ''] = (await prove()).split('.')
    const bytes = Buffer.from(signature, 'base64url')
    bytes[10]! ^= 1
    const changed = [header, payload, bytes.toString('base64url')].join('.')
    await expectRefused(() => requestWith(changed), 'proof_signature_invalid')
  })

  test('[9449-4.3-6] claims that were changed afterwards are refused', async () => {
    const [header, , signature] = (await prove()).split('.')
    const changed = [header, encode(prover.claims({ nonce: await prover.tokenNonce() })), signature].join('.')
    await expectRefused(() => requestWith(changed), 'proof_signature_invalid')
  })

  test('[9449-4.3-6] a jwk that is another key’s is refused', async () => {
    const { publicJwk } = await createKeyPair('ES256')
    await expectRefused(
      async () => requestWith(await prove({}, { jwk: publicJwk })),
      'proof_signature_invalid',
    )
  })

  test.each<[string, unknown]>([
    ['no jwk', undefined],
    ['a text', 'key'],
    ['a list', []],
    ['null', null],
    ['nothing', {}],
    ['a set of keys', { keys: [] }],
  ])('[9449-4.3-6] %s in its place is refused', async (_what, jwk) => {
    await expectRefused(async () => requestWith(await prove({}, { jwk })), 'proof_key_unusable')
  })

  test('[9449-4.3-6] a kid, jku or x5c in place of the jwk is not followed', async () => {
    const header = { jwk: undefined, kid: fixture.keyId, jku: 'https://evil.example/jwks.json' }
    await expectRefused(async () => requestWith(await prove({}, header)), 'proof_key_unusable')
  })
})

describe('7: no private key, and one that is fit', () => {
  test('[9449-4.3-7] a jwk with its private half is refused, and the half is in no log', async () => {
    const jwk = await crypto.subtle.exportKey('jwk', prover.keyPair.privateKey as CryptoKey)
    await expectRefused(async () => requestWith(await prove({}, { jwk })), 'proof_key_unusable')
    expect(JSON.stringify(server.logs())).not.toContain(jwk.d)
  })

  test('[9449-4.3-7] a private half that is not even the key’s is refused', async () => {
    const jwk = { ...prover.keyPair.publicJwk, d: 'AA' }
    await expectRefused(async () => requestWith(await prove({}, { jwk })), 'proof_key_unusable')
  })

  test('[8725-3.4] a point that is not on the curve is refused', async () => {
    const { publicJwk } = prover.keyPair
    const jwk = { ...publicJwk, y: publicJwk.x }
    await expectRefused(async () => requestWith(await prove({}, { jwk })), 'proof_key_unusable')
  })

  test.each([1024, 2040])('[8725-3.5-1] an RSA key of %i bits is refused', async (modulusLength) => {
    const algorithm = {
      name: 'RSA-PSS',
      hash: 'SHA-256',
      modulusLength,
      publicExponent: new Uint8Array([1, 0, 1]),
    }
    const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const { kty, n, e } = await crypto.subtle.exportKey('jwk', pair.publicKey)
    const claims = prover.claims({ nonce: await prover.tokenNonce() })
    const message = `${encode(prover.header({ alg: 'PS256', jwk: { kty, n, e } }))}.${encode(claims)}`
    const signature = await crypto.subtle.sign(
      { name: 'RSA-PSS', saltLength: 32 },
      pair.privateKey,
      Buffer.from(message),
    )
    const proof = `${message}.${Buffer.from(signature).toString('base64url')}`
    await expectRefused(() => requestWith(proof), 'proof_key_unusable')
  })

  test('[8725-3.5-2] an RSA key with the exponent 1, under which anybody signs, is refused', async () => {
    const { publicJwk, privateKey } = await createKeyPair('PS256')
    const header = prover.header({ alg: 'PS256', jwk: { ...publicJwk, e: 'AQ' } })
    const proof = await signCompact(header, prover.claims({ nonce: await prover.tokenNonce() }), privateKey)
    await expectRefused(() => requestWith(proof), 'proof_key_unusable')
  })
})

test.each(['GET', 'post', 'Post', '', 'POST '])('[9449-4.3-8] htm %j is refused', async (htm) => {
  await expectRefused(async () => requestWith(await prove({ htm })), 'proof_mismatch')
})

describe('9: the URI of the request', () => {
  const at = (change: (url: URL) => void) => () => {
    const url = new URL(server.tokenEndpoint)
    change(url)
    return url.href
  }

  test.each<[string, () => string]>([
    ['another path', () => `${server.issuer}/oauth/introspect`],
    ['a path in other letters', () => `${server.issuer}/oauth/Token`],
    ['a path and more', () => `${server.tokenEndpoint}/`],
    ['the issuer', () => server.issuer],
    [
      'another host',
      at((url) => {
        url.hostname = 'evil.example'
      }),
    ],
    [
      'another port',
      at((url) => {
        url.port = '1'
      }),
    ],
    ['another scheme', () => server.tokenEndpoint.replace('http:', 'https:')],
    [
      'a user name',
      at((url) => {
        url.username = 'user'
      }),
    ],
    ['a path alone', () => '/oauth/token'],
    ['no URI', () => 'token endpoint'],
    ['white space around it', () => ` ${server.tokenEndpoint} `],
    ['backslashes', () => server.tokenEndpoint.replaceAll('/', '\\')],
    ['a line break within', () => server.tokenEndpoint.replace('token', 'to\nken')],
    ['another scheme altogether', () => 'urn:example:token'],
    ['3 KB', () => `${server.tokenEndpoint}?${'a'.repeat(3000)}`],
  ])('[9449-4.3-9a] %s is refused', async (_what, htu) => {
    await expectRefused(async () => requestWith(await prove({ htu: htu() })), 'proof_mismatch')
  })

  test.each<[string, () => string]>([
    ['a query and a fragment', () => `${server.tokenEndpoint}?a=b#c`],
    ['a host and a scheme in capitals', () => server.tokenEndpoint.replace('http://127', 'HTTP://127')],
    ['an escape of what needs none', () => server.tokenEndpoint.replace('token', '%74oke%6E')],
    ['dot segments', () => server.tokenEndpoint.replace('oauth', 'x/../oauth/.')],
  ])('[9449-4.3-9b] %s is accepted', async (_what, htu) => {
    expect((await requestWith(await prove({ htu: htu() }))).status).toBe(200)
  })

  test('[9449-4.3-9c] what a request says of its own host makes no proof good', async () => {
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      forwarded: 'host=evil.example;proto=https',
      'content-type': FORM,
    }
    const send = async (htu: string) => {
      const form = new URLSearchParams({ grant_type: JWT_BEARER, assertion: await fixture.assertion() })
      return sendRaw(server, { headers: { ...headers, dpop: await prove({ htu }) }, body: form.toString() })
    }
    await expectRefused(() => send('https://evil.example/oauth/token'), 'proof_mismatch')
    expect((await send(server.tokenEndpoint)).status).toBe(200)
  })

  test('[9449-4.3-9b][9449-4.3-9c] behind a proxy it is the public URI, with or without its default port', async () => {
    const behind = await startTestServer({
      issuer: 'https://id.example.test',
      trustedProxies: ['loopback'],
    })
    try {
      const client = await behind.createFixture({ algorithm: 'ES256' })
      const holder = await createProver(behind)
      const send = async (htu: string) => {
        const nonce = (await behind.post('/oauth/token', {}, { dpop: await holder.prove() })).headers.get(
          'dpop-nonce',
        )
        const dpop = await holder.prove({ nonce: nonce ?? '' }, { htu })
        const form = { grant_type: JWT_BEARER, assertion: await client.assertion() }
        return (await behind.post('/oauth/token', form, { dpop, 'x-forwarded-host': 'evil.example' })).status
      }
      expect(await send('https://id.example.test/oauth/token')).toBe(200)
      expect(await send('https://ID.example.TEST:443/oauth/token')).toBe(200)
      expect(await send('https://evil.example/oauth/token')).toBe(400)
      expect(await send(`${behind.url}/oauth/token`)).toBe(400)
    } finally {
      await behind.close()
    }
  })
})

describe('11: made now', () => {
  test.each([-10, 10, -290, 290])('[9449-4.3-11] an iat of now%i s is accepted', async (offset) => {
    expect((await requestWith(await prove({ iat: now() + offset }))).status).toBe(200)
  })

  test.each([-3600, 3600, -310, 310])('[9449-4.3-11] an iat of now%i s is refused', async (offset) => {
    await expectRefused(async () => requestWith(await prove({ iat: now() + offset })), 'proof_not_fresh')
  })

  test('[9449-4.3-12] nbf and exp around now are accepted', async () => {
    expect((await requestWith(await prove({ nbf: now(), exp: now() + 300 }))).status).toBe(200)
  })

  test('[9449-4.3-12] an exp that is past is refused, and an nbf far ahead', async () => {
    await expectRefused(async () => requestWith(await prove({ exp: now() - 10 })), 'proof_not_fresh')
    await expectRefused(async () => requestWith(await prove({ nbf: now() + 3600 })), 'proof_not_fresh')
  })
})
