import { createPublicKey, type KeyObject } from 'node:crypto'
import { keyFault } from './key-fault.ts'

/** A JWK as received: any JSON object. */
export type UntrustedJwk = Readonly<Record<string, unknown>>

const BASE64URL = /^[A-Za-z0-9_-]+$/
/** Our limit on a `kid` that the owner chooses: what fits a log line, a URL and a column unescaped. */
const KID = /^[A-Za-z0-9._-]{1,128}$/
/** Ids made here begin so; a foreign `kid` must never be mistaken for one. */
const OWN_KID_PREFIX = 'key_'

/** Octets of one coordinate, which a JWK gives in full (RFC 7518 §6.2.1.2, RFC 8037 §2). */
const EC_COORDINATE_OCTETS: ReadonlyMap<unknown, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
])
const ED25519_OCTETS = 32

/**
 * The key of a public JWK. Only the members that make up the key are read; `x5c`, `x5u` and others have no
 * force. Leading zero octets in `n` or `e` are tolerated here and gone after the KeyObject's own export.
 *
 * @throws Refusal `input_invalid`
 */
export function keyFromJwk(jwk: UntrustedJwk): KeyObject {
  assertForVerification(jwk)
  const members = keyMembers(jwk)
  try {
    return createPublicKey({ key: members, format: 'jwk' })
  } catch {
    throw keyFault(
      members.kty === 'EC'
        ? 'the JWK is not a key: the point (x, y) is not on the curve'
        : 'the JWK cannot be read; its members are damaged',
    )
  }
}

/**
 * The `kid` that the owner chose, if any.
 *
 * @throws Refusal `input_invalid` for one that could not be stored, shown or told from an id of this server
 */
export function declaredKid(jwk: UntrustedJwk): string | undefined {
  const kid = jwk.kid
  if (kid === undefined) return undefined
  if (typeof kid !== 'string' || !KID.test(kid)) {
    throw keyFault('kid must be 1 to 128 characters of A-Z, a-z, 0-9, ".", "_" and "-"')
  }
  if (kid.startsWith(OWN_KID_PREFIX))
    throw keyFault('kid must not begin with "key_"; leave it out or rename it')
  return kid
}

/** RFC 7517 §4.2 and §4.3: a key that says what it is for must say that it is for signatures. */
function assertForVerification(jwk: UntrustedJwk): void {
  if (jwk.use !== undefined && jwk.use !== 'sig') throw keyFault('use must be "sig"')
  const operations = jwk.key_ops
  if (operations === undefined) return
  if (!Array.isArray(operations) || !operations.includes('verify')) {
    throw keyFault('key_ops must be a list that holds "verify"')
  }
}

function keyMembers(jwk: UntrustedJwk) {
  switch (jwk.kty) {
    case 'RSA':
      return { kty: 'RSA', n: requireOctets(jwk, 'n'), e: requireOctets(jwk, 'e') }
    case 'EC':
      return ecMembers(jwk)
    case 'OKP':
      if (jwk.crv !== 'Ed25519') throw keyFault('crv must be Ed25519 for a key of type OKP')
      return { kty: 'OKP', crv: 'Ed25519', x: requireOctets(jwk, 'x', ED25519_OCTETS) }
    case undefined:
      throw keyFault(
        Object.hasOwn(jwk, 'keys')
          ? 'is a JWK Set; send one key of it'
          : 'is not a JWK: kty is missing (RSA, EC or OKP)',
      )
    default:
      throw keyFault('kty must be RSA, EC or OKP')
  }
}

function ecMembers(jwk: UntrustedJwk) {
  const octets = EC_COORDINATE_OCTETS.get(jwk.crv)
  if (octets === undefined) throw keyFault('crv must be P-256 or P-384 for a key of type EC')
  return {
    kty: 'EC',
    crv: String(jwk.crv),
    x: requireOctets(jwk, 'x', octets),
    y: requireOctets(jwk, 'y', octets),
  }
}

/** Node's decoder skips what is not base64url, so the alphabet is checked here. */
function requireOctets(jwk: UntrustedJwk, name: string, octets?: number): string {
  const value = jwk[name]
  if (typeof value !== 'string' || !BASE64URL.test(value)) {
    throw keyFault(`${name} must be present and base64url without padding`)
  }
  if (octets !== undefined && Buffer.from(value, 'base64url').length !== octets) {
    throw keyFault(`${name} must be ${octets} octets, leading zeros included`)
  }
  return value
}
