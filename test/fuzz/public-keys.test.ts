import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { calculateJwkThumbprint, importJWK, type JWK } from 'jose'
import { selfSignedCertificate } from '../../src/directory/certificate.ts'
import { parsePublicKey } from '../../src/directory/public-key.ts'
import { Refusal } from '../../src/errors.ts'
import { attempt } from './attempt.ts'
import { fuzz } from './inputs.ts'
import { anyJson, anyText, longText, mutations } from './texts.ts'

const pairs = [
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  generateKeyPairSync('ed25519'),
]
const keys = pairs.map(({ publicKey }) => publicKey)
const certificate = await selfSignedCertificate(pairs[0]!.privateKey, {
  commonName: 'fuzzed',
  notBefore: new Date('2001-01-01T00:00:00Z'),
  notAfter: new Date('2002-01-01T00:00:00Z'),
})
/** What a fault may say: nothing of the input, and none of OpenSSL's words. */
const SAFE_FAULT = /^[A-Za-z0-9 .,:;()#^"'+_-]+$/

const anyKey = fc.constantFrom(...keys)
const jwks = fc
  .tuple(
    anyKey,
    fc.dictionary(
      fc.constantFrom('kty', 'n', 'e', 'crv', 'x', 'y', 'alg', 'use', 'key_ops', 'kid', 'd', 'x5c', 'keys'),
      anyJson,
      { maxKeys: 3 },
    ),
  )
  .map(([key, members]) => ({ ...key.export({ format: 'jwk' }), ...members }))
const label = fc.constantFrom('PUBLIC KEY', 'RSA PUBLIC KEY', 'CERTIFICATE', 'EC PRIVATE KEY', 'X')
const originals = [
  ...keys.map((key) => key.export({ type: 'spki', format: 'pem' }).toString()),
  toPem('RSA PUBLIC KEY', keys[0]!.export({ type: 'pkcs1', format: 'der' })),
  toPem('CERTIFICATE', certificate),
]
const inputs = fc.oneof(
  { weight: 2, arbitrary: fc.oneof(anyText, anyJson, longText) },
  { weight: 4, arbitrary: jwks },
  { weight: 2, arbitrary: jwks.map((jwk) => JSON.stringify(jwk)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(label, fc.uint8Array({ maxLength: 300 }))
      .map(([name, octets]) => toPem(name, octets)),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(...originals), mutations).map(([text, mutate]) => mutate(text)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(label, anyKey, fc.nat(), fc.nat(255))
      .map(([name, key, at, value]) => toPem(name, withOctet(key, at, value))),
  },
)

test('[7638-3-1][7518-6.3.1] whatever is sent as a public key is one that jose knows by the same thumbprint, or is refused', () =>
  fuzz('public keys', inputs, async (input) => {
    const key = attempt(() => parsePublicKey(input as string))
    if (key instanceof Refusal) {
      expect(['input_invalid', 'private_key_given']).toContain(key.reason)
      expect(key.told.faults).toEqual([{ pointer: '/public_key', detail: expect.stringMatching(SAFE_FAULT) }])
      expect(inspect(key, { depth: 20 })).not.toMatch(/ERR_|routines|OpenSSL|DECODER/)
      return
    }
    expect(await calculateJwkThumbprint(key.publicKey as JWK)).toBe(key.thumbprint)
    await importJWK(key.publicKey as JWK, key.algorithm)
  }))

function withOctet(key: KeyObject, at: number, value: number): Buffer {
  const der = key.export({ type: 'spki', format: 'der' })
  der[at % der.length] = value
  return der
}

function toPem(name: string, octets: Uint8Array): string {
  const lines = Buffer.from(octets).toString('base64').replaceAll(/.{64}/g, '$&\n')
  return `-----BEGIN ${name}-----\n${lines}\n-----END ${name}-----\n`
}
