import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CompactSign, exportPKCS8, exportSPKI, generateKeyPair, jwtVerify } from 'jose'
import { isSignedWith, type SignatureAlgorithm, signJwt } from '../../src/jwt/signature.ts'

const ALGORITHMS: readonly SignatureAlgorithm[] = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']

const pairs = new Map(
  await Promise.all(
    ALGORITHMS.map(async (algorithm) => {
      const pair = await generateKeyPair(algorithm, { extractable: true })
      return [
        algorithm,
        {
          joseKey: pair.privateKey,
          privateKey: createPrivateKey(await exportPKCS8(pair.privateKey)),
          publicKey: createPublicKey(await exportSPKI(pair.publicKey)),
        },
      ] as const
    }),
  ),
)
const pairOf = (algorithm: SignatureAlgorithm) => pairs.get(algorithm)!

/** What jose, an implementation of its own, signs. */
const signWithJose = (algorithm: SignatureAlgorithm, payload = '{}') =>
  new CompactSign(Buffer.from(payload)).setProtectedHeader({ alg: algorithm }).sign(pairOf(algorithm).joseKey)

const withSignature = (compact: string, signature: Buffer) =>
  `${compact.slice(0, compact.lastIndexOf('.'))}.${signature.toString('base64url')}`

describe.each(ALGORITHMS)('%s', (algorithm) => {
  const { publicKey } = pairOf(algorithm)

  test('what jose signs is signed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (payload) => {
        expect(isSignedWith(await signWithJose(algorithm, payload), algorithm, publicKey)).toBe(true)
      }),
      { numRuns: 20 },
    )
  })

  test('what is signed here jose takes for signed, header and claims alike', async () => {
    const { privateKey } = pairOf(algorithm)
    const header = { alg: algorithm, typ: 'at+jwt', kid: 'sig_1' }
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.stringMatching(/^x_[a-z]+$/), fc.json()), async (claims) => {
        const signed = await signJwt(header, claims, privateKey)
        const verified = await jwtVerify(signed, publicKey, { algorithms: [algorithm] })
        expect(verified.protectedHeader).toEqual(header)
        expect(verified.payload).toEqual(claims)
        expect(isSignedWith(signed, algorithm, publicKey)).toBe(true)
      }),
      { numRuns: 20 },
    )
  })

  test('one changed bit in any part is not signed', async () => {
    const compact = await signWithJose(algorithm, '{"iss":"acc_1"}')
    const [header = '', payload = '', signature = ''] = compact.split('.')
    const parts = [header, payload, signature].map((part) => Buffer.from(part, 'base64url'))
    fc.assert(
      fc.property(fc.nat(2), fc.nat(), fc.nat(7), (part, position, bit) => {
        const changed = parts.map((bytes) => Buffer.from(bytes))
        const bytes = changed[part]!
        const index = position % bytes.length
        bytes[index] = bytes[index]! ^ (1 << bit)
        const text = changed.map((each) => each.toString('base64url')).join('.')
        expect(isSignedWith(text, algorithm, publicKey)).toBe(false)
      }),
      { numRuns: 200 },
    )
  })

  test('a signature that is cut, longer, empty or all zeros is none, and no error', async () => {
    const compact = await signWithJose(algorithm)
    const signature = Buffer.from(compact.split('.')[2] ?? '', 'base64url')
    const others = [
      signature.subarray(1),
      signature.subarray(0, -1),
      Buffer.concat([signature, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), signature]),
      Buffer.alloc(0),
      Buffer.alloc(signature.length),
    ]
    for (const other of others) {
      expect(isSignedWith(withSignature(compact, other), algorithm, publicKey)).toBe(false)
    }
  })
})

test.each<[SignatureAlgorithm, SignatureAlgorithm]>([
  ['RS256', 'PS256'],
  ['PS256', 'RS256'],
])('what is signed with %s is not signed with %s, although the key could be the same', async (one, other) => {
  expect(isSignedWith(await signWithJose(one), other, pairOf(one).publicKey)).toBe(false)
})

test.each<[SignatureAlgorithm, string]>([
  ['ES256', 'sha256'],
  ['ES384', 'sha384'],
])('the DER form of an %s signature is none: a JWS has one spelling', async (algorithm, digest) => {
  const { privateKey, publicKey } = pairOf(algorithm)
  const compact = await signWithJose(algorithm)
  const input = Buffer.from(compact.slice(0, compact.lastIndexOf('.')))
  const der = sign(digest, input, { key: privateKey, dsaEncoding: 'der' })
  expect(isSignedWith(withSignature(compact, der), algorithm, publicKey)).toBe(false)
})

test('another key of the same kind has not signed', async () => {
  const { publicKey } = await generateKeyPair('RS256', { extractable: true })
  const other = createPublicKey(await exportSPKI(publicKey))
  expect(isSignedWith(await signWithJose('RS256'), 'RS256', other)).toBe(false)
})
