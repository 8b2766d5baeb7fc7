import type { KeyObject } from 'node:crypto'
import { CompactSign, type CryptoKey, exportJWK, exportPKCS8, generateKeyPair, type JWK } from 'jose'

/** A key pair as an integration holds it. */
export type TestKeyPair = { algorithm: string; privateKey: CryptoKey; publicJwk: JWK; privateKeyPem: string }

export async function createKeyPair(algorithm = 'RS256'): Promise<TestKeyPair> {
  const pair = await generateKeyPair(algorithm, { extractable: true, modulusLength: 2048 })
  return {
    algorithm,
    privateKey: pair.privateKey,
    publicJwk: await exportJWK(pair.publicKey),
    privateKeyPem: await exportPKCS8(pair.privateKey),
  }
}

/** Signs any payload under any header that jose will sign; objects are written as JSON. */
export function signCompact(
  header: Record<string, unknown>,
  payload: Record<string, unknown> | string | Uint8Array,
  key: CryptoKey | KeyObject,
): Promise<string> {
  const bytes =
    payload instanceof Uint8Array
      ? payload
      : new TextEncoder().encode(typeof payload === 'string' ? payload : JSON.stringify(payload))
  return new CompactSign(bytes).setProtectedHeader(header as { alg: string }).sign(key)
}

/** base64url of a text or of an object's JSON. */
export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** Header and claims of a compact JWT, unverified. */
export function decode(jwt: string): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header = '', claims = ''] = jwt.split('.')
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  return { header: parse(header), claims: parse(claims) }
}
