import { constants, createHmac, createPublicKey, sign as signBytes } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { CompactEncrypt, importJWK, type JWK } from 'jose'
import { decode, encode, signCompact } from '../support/jwt.ts'
import { must } from '../support/server.ts'
import {
  ASSERTIONS,
  encodePart,
  forge,
  forgeParts,
  PLACES,
  type Place,
  type PlaceName,
  type RefusalCase,
  testRefusals,
  usePlaces,
} from './jwt-places.ts'
import { expectRefusal, expectRefusalFor } from './support.ts'

const places = usePlaces()

const TOKENS: readonly PlaceName[] = ['a token at introspection', 'a token for the management API']

const messageOf = (place: Place, header: Record<string, unknown>) =>
  `${encodePart(place.header(header))}.${encodePart(place.claims())}`
/** Signed by the right key, whatever the header says. */
const withHeader = (place: Place, changes: Record<string, unknown>) =>
  forge(place, place.header(changes), place.claims())

/** The account's RSA key under another algorithm that it could serve: the signature itself is right. */
function signedByRsa(place: Place, alg: string, digest: string, isPss = false): string {
  const message = messageOf(place, { alg })
  const key = places.fixture.keyPair.privateKeyPem
  const padding = isPss
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {}
  return `${message}.${signBytes(digest, Buffer.from(message), { key, ...padding }).toString('base64url')}`
}

/** The public key in every form that could be taken for an HMAC secret. */
const SECRETS: Record<string, (jwk: JWK) => string | Buffer> = {
  'the PEM': (jwk) => pemOf(jwk),
  'the PEM without its last line feed': (jwk) => pemOf(jwk).trimEnd(),
  'the PEM with CR LF': (jwk) => pemOf(jwk).replaceAll('\n', '\r\n'),
  'the DER': (jwk) => keyOf(jwk).export({ type: 'spki', format: 'der' }),
  'the JWK': (jwk) => JSON.stringify(jwk),
  'the bytes of the key': (jwk) => Buffer.from(jwk.n ?? jwk.x ?? '', 'base64url'),
  'an empty secret': () => '',
}
const keyOf = (jwk: JWK) => createPublicKey({ key: jwk as Record<string, string>, format: 'jwk' })
const pemOf = (jwk: JWK) => keyOf(jwk).export({ type: 'spki', format: 'pem' }).toString()

function signedByHmac(place: Place, alg: string, digest: string, secret: string | Buffer): string {
  const message = messageOf(place, { alg })
  return `${message}.${createHmac(digest, secret).update(message).digest('base64url')}`
}

/** What is encrypted to a public key of the server, which has no use for it. */
async function encrypted(alg: string, kty: string, plaintext: string, header: object = {}): Promise<string> {
  const published = (await places.keyRing.jwks()).keys.find((key) => key.kty === kty) as JWK
  const { alg: _alg, use: _use, kid, ...jwk } = published
  return new CompactEncrypt(Buffer.from(plaintext))
    .setProtectedHeader({ alg, enc: 'A256GCM', kid: kid ?? '', ...header })
    .encrypt(await importJWK(jwk, alg))
}

const UNSIGNED_NAMES = ['none', 'None', 'nOnE', 'NONE', ' none', 'none ', '']
const FOREIGN_ALGORITHMS = [
  'RS1',
  'HS256',
  'RSA1_5',
  'RSA-OAEP',
  'dir',
  'ES256K',
  'ML-DSA-44',
  'rs256',
  'es256',
  'RS256 ',
]

const cases: RefusalCase[] = [
  ...UNSIGNED_NAMES.flatMap((alg): RefusalCase[] => [
    [
      '[8725-3.1-1]',
      `alg ${JSON.stringify(alg)} without a signature`,
      (place) => `${messageOf(place, { alg })}.`,
    ],
    [
      '[8725-3.1-1]',
      `alg ${JSON.stringify(alg)} with a good signature`,
      (place) => withHeader(place, { alg }),
    ],
  ]),
  ['[8725-3.1-1]', 'no alg', (place) => withHeader(place, { alg: undefined })],
  ['[8725-3.1-1]', 'an alg of null', (place) => withHeader(place, { alg: null })],
  ['[8725-3.1-1]', 'an array as alg', (place) => withHeader(place, { alg: [place.header().alg] })],
  ['[8725-3.1-1]', 'an object as alg', (place) => withHeader(place, { alg: { toString: 'RS256' } })],
  [
    '[8725-3.1-2]',
    'alg RS384 over a key for RS256',
    (place) => signedByRsa(place, 'RS384', 'sha384'),
    ASSERTIONS,
  ],
  [
    '[8725-3.1-2]',
    'alg RS512 over a key for RS256',
    (place) => signedByRsa(place, 'RS512', 'sha512'),
    ASSERTIONS,
  ],
  [
    '[8725-3.1-2]',
    'alg PS256 over a key for RS256',
    (place) => signedByRsa(place, 'PS256', 'sha256', true),
    ASSERTIONS,
  ],
  [
    '[8725-3.1-2]',
    'alg RS256 with a PSS signature',
    (place) => signedByRsa(place, 'RS256', 'sha256', true),
    ASSERTIONS,
  ],
  ['[8725-3.1-2]', 'alg ES256 over an RSA key', (place) => withHeader(place, { alg: 'ES256' }), ASSERTIONS],
  ...['ES384', 'ES512', 'RS256', 'EdDSA'].map(
    (alg): RefusalCase => [
      '[8725-3.1-2]',
      `alg ${alg} over our key for ES256`,
      (place) => withHeader(place, { alg }),
      TOKENS,
    ],
  ),
  [
    '[8725-3.1-2]',
    'the kid of our RSA key over an ES256 signature',
    (place) => withHeader(place, { kid: ourKid('RS256') }),
    TOKENS,
  ],
  [
    '[8725-3.1-2]',
    'the kid and alg of our RSA key over an ES256 signature',
    (place) => withHeader(place, { kid: ourKid('RS256'), alg: 'RS256' }),
    TOKENS,
  ],
  ...Object.entries(SECRETS).map(
    ([what, secret]): RefusalCase => [
      '[8725-3.1-4]',
      `HS256 with ${what} as the secret`,
      (place) => signedByHmac(place, 'HS256', 'sha256', secret(place.publicJwk)),
    ],
  ),
  [
    '[8725-3.1-4]',
    'HS512 with the PEM as the secret',
    (place) => signedByHmac(place, 'HS512', 'sha512', pemOf(place.publicJwk)),
  ],
  [
    '[8725-3.1-4]',
    'the right alg with an HMAC under the PEM',
    (place) => signedByHmac(place, String(place.header().alg), 'sha256', pemOf(place.publicJwk)),
  ],
  ...FOREIGN_ALGORITHMS.map(
    (alg): RefusalCase => [
      '[8725-3.2-1]',
      `alg ${JSON.stringify(alg)}`,
      (place) => withHeader(place, { alg }),
    ],
  ),
  [
    '[8725-3.2-1]',
    'alg RS1 with a good SHA-1 signature',
    (place) => signedByRsa(place, 'RS1', 'sha1'),
    ASSERTIONS,
  ],
  [
    '[8725-3.2-1]',
    'alg RS256 with a good SHA-1 signature',
    (place) => signedByRsa(place, 'RS256', 'sha1'),
    ASSERTIONS,
  ],
  [
    '[8725-3.3-1]',
    'a JWE for our RSA key around a good JWT',
    async (place) =>
      encrypted('RSA-OAEP-256', 'RSA', await forge(place, place.header(), place.claims()), { cty: 'JWT' }),
  ],
  [
    '[8725-3.3-1]',
    'a JWE for our RSA key around bare claims',
    (place) => encrypted('RSA-OAEP-256', 'RSA', JSON.stringify(place.claims())),
  ],
  [
    '[8725-3.3-1]',
    'a JWE for our EC key around an unsigned JWT',
    (place) => encrypted('ECDH-ES', 'EC', `${messageOf(place, { alg: 'none' })}.`),
  ],
  [
    '[8725-3.3-1]',
    'an enc in the header of a JWS',
    (place) => withHeader(place, { alg: 'RSA-OAEP', enc: 'A128GCM' }),
  ],
  [
    '[8725-3.3-2]',
    'a nested JWT',
    async (place) =>
      forge(place, place.header({ cty: 'JWT' }), await forge(place, place.header(), place.claims())),
  ],
  ['[8725-3.3-2]', 'cty JWT over plain claims', (place) => withHeader(place, { cty: 'JWT' })],
  [
    '[8725-3.3-2]',
    'a nested JWT without cty',
    async (place) => forge(place, place.header(), await forge(place, place.header(), place.claims())),
  ],
  [
    '[8725-3.6]',
    'zip DEF over deflated claims',
    (place) => forge(place, place.header({ zip: 'DEF' }), deflateRawSync(JSON.stringify(place.claims()))),
  ],
  ['[8725-3.6]', 'zip DEF over plain claims', (place) => withHeader(place, { zip: 'DEF' })],
  [
    '[8725-3.6]',
    'deflated claims that do not say so',
    (place) => forge(place, place.header(), deflateRawSync(JSON.stringify(place.claims()))),
  ],
  [
    '[8725-3.6][8725bis-3.15]',
    'zip DEF over two megabytes in two kilobytes',
    (place) => forge(place, place.header({ zip: 'DEF' }), deflateRawSync(Buffer.alloc(2_000_000))),
  ],
  [
    '[8725bis-3.15]',
    'a JWE with zip DEF',
    (place) => forgeParts(place, encode({ alg: 'dir', enc: 'A128GCM', zip: 'DEF' }), 'AAAA.AAAA.AAAA'),
  ],
]

testRefusals(places, cases)

function ourKid(algorithm: 'RS256' | 'EdDSA'): string {
  return places.keyRing.published().find((key) => key.algorithm === algorithm && key.status === 'active')!.id
}

test.each(PLACES)(
  '[8725bis-3.13] a hundred million PBES2 iterations are refused before the first as %s',
  async (name) => {
    const place = places.at(name)
    const header = { alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2s: 'AAAAAAAAAAA', p2c: 100_000_000 }
    const startedAt = performance.now()
    await place.expectRefused([encode(header), 'AAAA', 'AAAA', 'AAAA', 'AAAA'].join('.'))
    await place.expectRefused(`${encode(header)}.${encodePart(place.claims())}.AAAA`)
    // PBKDF2 would take half a minute.
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  },
)

test.each([
  ['RS256', 'RS256', 'PS256'],
  ['PS256', 'PS256', 'RS256'],
  ['ES256', 'ES256', 'ES384'],
  ['ES384', 'ES384', 'ES256'],
  ['EdDSA', 'EdDSA', 'ES256'],
  ['EdDSA', 'Ed25519', 'RS256'],
])(
  '[8725-3.2-1][8725-3.1-3] a key registered for %s serves %s and not %s',
  async (registered, alg, other) => {
    const account = await places.server.createFixture({ algorithm: registered })
    const { algorithm } = await must(places.server.api('GET', `${account.accountPath}/keys/${account.keyId}`))
    expect(algorithm).toBe(registered)
    const answer = await account.requestToken({ assertion: await account.assertion({}, { alg }) })
    expect(answer.status).toBe(200)

    const message = `${encode({ alg: other, kid: account.keyId })}.${encode(account.claims())}`
    const signature = (await account.assertion()).split('.')[2]
    const refused = await account.requestToken({ assertion: `${message}.${signature}` })
    await expectRefusalFor(places.server, refused, { error: 'invalid_grant', reason: 'algorithm_mismatch' })
  },
)

test('[8725-3.1-3] one RSA key that has served RS256 does not serve PS256 afterwards, nor under a second entry', async () => {
  const { fixture, server } = places
  const place = places.at('an assertion')
  await place.expectAccepted(await fixture.assertion())
  const { publicJwk } = fixture.keyPair
  const again = await server.api('POST', `${fixture.accountPath}/keys`, {
    type: 'public_key',
    public_key: { ...publicJwk, alg: 'PS256' },
  })
  expect(again.status).toBe(409)
  const answer = await place.send(signedByRsa(place, 'PS256', 'sha256', true))
  expectRefusal(answer, 400, 'invalid_grant')
  await place.expectAccepted(await fixture.assertion())
})

test('[8725-3.2-1] what the server signs itself is of the algorithm that its resource server chose, and verifies as no other', async () => {
  for (const signingAlgorithm of ['ES256', 'RS256', 'EdDSA'] as const) {
    const account = await places.server.createFixture({ algorithm: 'ES256', signingAlgorithm })
    const token = await account.getToken()
    const { header, claims } = decode(token)
    expect(header.alg).toBe(signingAlgorithm)
    expect((await account.introspect(token)).body.active).toBe(true)
    const own = await signCompact({ ...header, alg: 'ES256' }, claims, account.keyPair.privateKey)
    expect((await account.introspect(own)).body).toEqual({ active: false })
  }
})
