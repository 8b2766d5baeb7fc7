import { createHash, type KeyObject } from 'node:crypto'
import type { KeyAlgorithm, PublicJwk } from '../database/tables.ts'
import { declaredKid, keyFromJwk, type UntrustedJwk } from './jwk.ts'
import { keyFault } from './key-fault.ts'
import { type KeyKind, requireStrongKey } from './key-strength.ts'
import { hasPemBlock, keyFromPem } from './pem.ts'
import { assertNoPrivateMembers, assertNoPrivateText } from './private-key.ts'

/** What is kept of a key. */
export type PublicKeyMaterial = {
  publicKey: PublicJwk
  algorithm: KeyAlgorithm
  /** Bits; null for a key that is not RSA. */
  modulusLength: number | null
  /** RFC 7638, SHA-256, base64url: one per key, however the key was written. */
  thumbprint: string
  /** The `kid` member of a JWK, checked; a PEM has none. */
  declaredKid: string | undefined
}

/** The largest RSA key with a certificate around it takes about 5 KiB. */
const MAX_INPUT_OCTETS = 16 * 1024

/** The algorithms of each kind, the default first. */
const ALGORITHMS: Record<KeyKind, readonly [KeyAlgorithm, ...KeyAlgorithm[]]> = {
  RSA: ['RS256', 'PS256'],
  'P-256': ['ES256'],
  'P-384': ['ES384'],
  Ed25519: ['EdDSA'],
}

/** RFC 9864 gives EdDSA over edwards25519 the name Ed25519; both mean the same here. */
const ALGORITHM_SYNONYMS: ReadonlyMap<unknown, KeyAlgorithm> = new Map([['Ed25519', 'EdDSA']])

/**
 * Reads a public key that a user sends: PEM (SPKI, PKCS#1 public, X.509 certificate), or a JWK as an object
 * or as JSON text. What comes out is canonical, strong enough, and bound to one algorithm: that of
 * `options.algorithm` or of the JWK's `alg`, else the default of its kind.
 *
 * @throws Refusal `private_key_given` when a private key shows in any form; its value is in no part of it
 * @throws Refusal `input_invalid` with a fault at `/public_key` for everything else that cannot be used
 */
export function parsePublicKey(
  input: string | Record<string, unknown>,
  options: { algorithm?: KeyAlgorithm | undefined } = {},
): PublicKeyMaterial {
  const text = textOf(input)
  assertNoPrivateText(text)
  assertSize(text)
  const jwk = jwkOf(input)
  if (jwk !== undefined) assertNoPrivateMembers(jwk)

  const key = jwk === undefined ? keyFromPem(text) : keyFromJwk(jwk)
  const kind = requireStrongKey(key)
  const publicKey = canonicalJwk(key, kind)
  return {
    publicKey,
    algorithm: chooseAlgorithm(kind, jwk?.alg, options.algorithm),
    modulusLength: kind === 'RSA' ? (key.asymmetricKeyDetails?.modulusLength ?? null) : null,
    thumbprint: thumbprintOf(publicKey),
    declaredKid: jwk === undefined ? undefined : declaredKid(jwk),
  }
}

/**
 * Reads the public key that a proof of possession carries. Only the members that make up the key are looked at.
 *
 * @throws Refusal `private_key_given` or `input_invalid`, as `parsePublicKey`
 */
export function parseProofKey(jwk: UntrustedJwk): {
  publicKey: KeyObject
  thumbprint: string
  algorithms: readonly KeyAlgorithm[]
} {
  assertNoPrivateMembers(jwk)
  const publicKey = keyFromJwk(jwk)
  const kind = requireStrongKey(publicKey)
  return { publicKey, thumbprint: thumbprintOf(canonicalJwk(publicKey, kind)), algorithms: ALGORITHMS[kind] }
}

/**
 * The RFC 7638 SHA-256 thumbprint of a canonical key, base64url. A private key's public half gives the
 * same one (§3.2.1).
 */
export function thumbprintOf(key: PublicJwk): string {
  return createHash('sha256').update(thumbprintInput(key)).digest('base64url')
}

/** RFC 7638 §3: the required members alone, in lexicographic order, without white space. */
function thumbprintInput(key: PublicJwk): string {
  switch (key.kty) {
    case 'RSA':
      return JSON.stringify({ e: key.e, kty: key.kty, n: key.n })
    case 'EC':
      return JSON.stringify({ crv: key.crv, kty: key.kty, x: key.x, y: key.y })
    case 'OKP':
      return JSON.stringify({ crv: key.crv, kty: key.kty, x: key.x })
  }
}

function textOf(input: unknown): string {
  if (typeof input === 'string') return input
  try {
    return JSON.stringify(input) ?? ''
  } catch {
    // A RangeError: JSON.stringify recurses, and a parser may have let through more nesting than it can take.
    throw keyFault('the JWK is nested too deeply')
  }
}

function assertSize(text: string): void {
  if (Buffer.byteLength(text) > MAX_INPUT_OCTETS)
    throw keyFault(`is too large; the limit is ${MAX_INPUT_OCTETS} octets`)
}

/** The JWK that was sent as an object or as JSON text; undefined for any other text. */
function jwkOf(input: unknown): UntrustedJwk | undefined {
  if (typeof input !== 'string') return requireJsonObject(input)
  if (!/^\s*[[{]/.test(input)) return undefined
  const value = parseJson(input)
  if (value !== undefined) return requireJsonObject(value)
  // Text around a PEM block may begin with a bracket too.
  if (hasPemBlock(input)) return undefined
  throw keyFault('looks like a JWK but is not valid JSON')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.trim())
  } catch {
    return undefined
  }
}

function requireJsonObject(value: unknown): UntrustedJwk {
  if (typeof value !== 'object' || value === null) throw keyFault('must be a PEM text or a JWK object')
  // A list goes on as an object without kty: refused there, after the search for private members.
  return value as UntrustedJwk
}

/**
 * Through the KeyObject's own export, so that two spellings of one key (a leading zero octet in `n`, PEM
 * and JWK) become one, which jose's import leaves apart.
 */
function canonicalJwk(key: KeyObject, kind: KeyKind): PublicJwk {
  const { n = '', e = '', x = '', y = '' } = key.export({ format: 'jwk' })
  switch (kind) {
    case 'RSA':
      return { kty: 'RSA', n, e }
    case 'P-256':
    case 'P-384':
      return { kty: 'EC', crv: kind, x, y }
    case 'Ed25519':
      return { kty: 'OKP', crv: kind, x }
  }
}

function chooseAlgorithm(
  kind: KeyKind,
  declared: unknown,
  requested: KeyAlgorithm | undefined,
): KeyAlgorithm {
  const ofJwk = declared === undefined ? undefined : requireAlgorithm(kind, declared)
  const ofRequest = requested === undefined ? undefined : requireAlgorithm(kind, requested)
  if (ofJwk !== undefined && ofRequest !== undefined && ofJwk !== ofRequest) {
    throw keyFault('alg of the JWK and the requested algorithm differ')
  }
  return ofJwk ?? ofRequest ?? ALGORITHMS[kind][0]
}

function requireAlgorithm(kind: KeyKind, name: unknown): KeyAlgorithm {
  const allowed = ALGORITHMS[kind]
  const algorithm = allowed.find((candidate) => candidate === (ALGORITHM_SYNONYMS.get(name) ?? name))
  if (algorithm === undefined) throw keyFault(`the algorithm of this key must be ${allowed.join(' or ')}`)
  return algorithm
}
