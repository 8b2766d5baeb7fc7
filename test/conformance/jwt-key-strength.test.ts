import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { findLogLine } from './support.ts'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
})
afterAll(() => server.close())

type Jwk = Record<string, string>

const jwkOf = (key: KeyObject) => key.export({ format: 'jwk' }) as Jwk
const rsaOf = (modulusLength: number, publicExponent = 65_537) =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey
const strong = jwkOf(rsaOf(2048))
const p256 = jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)
const p384 = jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey)
const ed25519 = jwkOf(generateKeyPairSync('ed25519').publicKey)

/** An odd number of exactly that many bits; whether it is a product of two primes nobody can tell. */
function modulusOf(bits: number): string {
  const bytes = randomBytes(Math.ceil(bits / 8))
  const spare = bytes.length * 8 - bits
  bytes[0] = (bytes[0]! & (0xff >> spare)) | (0x80 >> spare)
  bytes[bytes.length - 1]! |= 1
  return bytes.toString('base64url')
}
const flipped = (coordinate: string | undefined) => {
  const bytes = Buffer.from(coordinate ?? '', 'base64url')
  bytes[5]! ^= 1
  return bytes.toString('base64url')
}
const zeros = (octets: number) => Buffer.alloc(octets).toString('base64url')
const pemOf = (jwk: Jwk) =>
  createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString()

/** The key is refused at the door, with a problem that points at it, and nothing is stored. */
async function refusedAtUpload(publicKey: Jwk | string, code = 'input_invalid'): Promise<void> {
  const list = () => server.api('GET', `${fixture.accountPath}/keys?include_revoked=true`)
  const before = (await list()).body.items.length
  const answer = await server.api('POST', `${fixture.accountPath}/keys`, {
    type: 'public_key',
    public_key: publicKey,
  })
  expect(answer.status).toBe(422)
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  expect(answer.body).toMatchObject({ code, errors: [{ pointer: '/public_key' }] })
  expect((await findLogLine(server, answer)).reason).toBe(code)
  expect((await list()).body.items).toHaveLength(before)
}

test.each<[string, Jwk]>([
  ['an EC point off the curve', { ...p256, y: flipped(p256.y) }],
  ['an EC point off the curve by x', { ...p384, x: flipped(p384.x) }],
  ['an EC point of zeros', { ...p256, x: zeros(32), y: zeros(32) }],
  ['coordinates of P-256 under the name of P-384', { ...p256, crv: 'P-384' }],
  ['coordinates of P-384 under the name of P-256', { ...p384, crv: 'P-256' }],
  ['a coordinate that is too short', { ...p256, x: zeros(16) }],
  ['a coordinate above the field', { ...p256, x: Buffer.alloc(32, 0xff).toString('base64url') }],
  ['an EC key without y', { kty: 'EC', crv: 'P-256', x: p256.x! }],
  ['an Ed25519 point of small order', { ...ed25519, x: zeros(32) }],
  [
    'an Ed25519 point of order one',
    { ...ed25519, x: Buffer.from([1, ...Array(31).fill(0)]).toString('base64url') },
  ],
  [
    'an Ed25519 point that is none',
    { ...ed25519, x: Buffer.from([2, ...Array(31).fill(0)]).toString('base64url') },
  ],
  ['an Ed25519 point that is too short', { ...ed25519, x: zeros(31) }],
  ['an unknown curve', { ...p256, crv: 'P-192' }],
  ['secp256k1', jwkOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)],
  ['a key for key agreement', jwkOf(generateKeyPairSync('x25519').publicKey)],
  ['an RSA key without a modulus', { kty: 'RSA', e: 'AQAB' }],
])('[8725-3.4] %s is refused at upload', async (_what, jwk) => {
  await refusedAtUpload(jwk)
})

test('[8725-3.4] a symmetric key is refused at upload as the secret that it is', async () => {
  await refusedAtUpload({ kty: 'oct', k: zeros(32) }, 'private_key_given')
})

test.each([1024, 2040, 2047])(
  '[8725-3.5-1] an RSA key of %i bits is refused at upload, as JWK and as PEM',
  async (bits) => {
    const jwk = jwkOf(rsaOf(bits))
    await refusedAtUpload(jwk)
    await refusedAtUpload(pemOf(jwk))
  },
)

test('[8725-3.5-1] a short modulus does not become long by leading zeros', async () => {
  const { n = '', e = '' } = jwkOf(rsaOf(1024))
  const padded = Buffer.concat([Buffer.alloc(128), Buffer.from(n, 'base64url')]).toString('base64url')
  await refusedAtUpload({ kty: 'RSA', n: padded, e })
})

test.each<[string, string]>([
  ['1, with which anybody can sign', 'AQ'],
  ['2', 'Ag'],
  ['3', 'Aw'],
  ['17', 'EQ'],
  ['65536', 'AQAA'],
  ['65535', '__8'],
  ['0', 'AA'],
  ['2^32 + 1', 'AQAAAAE'],
  ['256 bytes', modulusOf(2048)],
  ['nothing', ''],
])('[8725-3.5-2] an RSA exponent of %s is refused at upload', async (_what, e) => {
  await refusedAtUpload({ ...strong, e })
})

test('[8725-3.5-2] an RSA exponent of 3 is refused as PEM as well', async () => {
  await refusedAtUpload(pemOf(jwkOf(rsaOf(2048, 3))))
})

test.each([8193, 16_384])('[8725-3.5-3] an RSA modulus of %i bits is refused at upload', async (bits) => {
  await refusedAtUpload({ kty: 'RSA', n: modulusOf(bits), e: 'AQAB' })
})

test.each<[string, Jwk]>([
  ['RSA of 2048 bits', strong],
  ['RSA of 3072 bits', jwkOf(rsaOf(3072))],
  ['RSA with an odd exponent above 65537', jwkOf(rsaOf(2048, 65_539))],
  ['P-256', p256],
  ['P-384', p384],
  ['Ed25519', ed25519],
])('[8725-3.4][8725-3.5-1][8725-3.5-2] a good key of %s is accepted', async (_what, jwk) => {
  const account = await server.createFixture({ algorithm: 'ES256' })
  const answer = await server.api('POST', `${account.accountPath}/keys`, {
    type: 'public_key',
    public_key: jwk,
  })
  expect(answer.status).toBe(201)
})
