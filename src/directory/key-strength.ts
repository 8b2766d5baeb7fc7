import type { KeyObject } from 'node:crypto'
import { keyFault } from './key-fault.ts'

/** What kind of key it is, which decides the algorithms that it can serve. */
export type KeyKind = 'RSA' | 'P-256' | 'P-384' | 'Ed25519'

/** RFC 7518 §3.3. Measured exactly: a modulus of 2047 bits is refused. */
const MIN_MODULUS_BITS = 2048
/** Verifying costs the cube of the length or so; above this a caller would buy our time cheaply. */
const MAX_MODULUS_BITS = 8192
/** FIPS 186-5 §5.1, lower bound. With e = 1 anybody can sign, and e = 3 has a history of forgeries. */
const MIN_EXPONENT = 65_537n
/** Our upper bound: a long exponent makes each verification dear, and some verifiers read 32 bits. */
const EXPONENT_LIMIT = 2n ** 32n
/** NIST SP 800-89 §5.3.3 looks for factors below this. */
const SMALL_FACTOR_LIMIT = 752

/** RFC 8032 §5.1: the field and the curve constant of edwards25519. */
const FIELD = 2n ** 255n - 19n
const CURVE_D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n

const NODE_CURVES: ReadonlyMap<string | undefined, KeyKind> = new Map([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
])

/**
 * The kind of a key that is fit to verify assertions with.
 *
 * @throws Refusal `input_invalid` for every other type and curve, and for keys of a supported kind under
 *   which others than the owner could sign, or nobody could (RFC 8725 §3.4, §3.5)
 */
export function requireStrongKey(key: KeyObject): KeyKind {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      assertStrongRsa(key)
      return 'RSA'
    case 'ec':
      return requireCurve(key)
    case 'ed25519':
      assertEd25519Point(Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url'))
      return 'Ed25519'
    case 'rsa-pss':
      throw keyFault('the key is restricted to RSASSA-PSS; send it as a plain RSA key (rsaEncryption)')
    case 'x25519':
    case 'x448':
      throw keyFault('the key is for key agreement and cannot verify signatures; use Ed25519')
    default:
      throw keyFault('the key must be RSA, EC P-256, EC P-384 or Ed25519')
  }
}

function assertStrongRsa(key: KeyObject): void {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < MIN_MODULUS_BITS || modulusLength > MAX_MODULUS_BITS) {
    throw keyFault(`the RSA modulus must be ${MIN_MODULUS_BITS} to ${MAX_MODULUS_BITS} bits long`, {
      modulusLength,
    })
  }
  if (publicExponent < MIN_EXPONENT || publicExponent >= EXPONENT_LIMIT || publicExponent % 2n === 0n) {
    throw keyFault('the RSA exponent must be odd, at least 65537 and below 2^32; use 65537')
  }
  const modulus = BigInt(
    `0x${Buffer.from(key.export({ format: 'jwk' }).n ?? '', 'base64url').toString('hex')}`,
  )
  if (SMALL_PRIMES.some((prime) => modulus % prime === 0n)) {
    throw keyFault('the RSA modulus has a small factor, so the key is damaged or was made to be broken')
  }
}

function requireCurve(key: KeyObject): KeyKind {
  // Parameters spelled out that are not wholly a known curve have no name here: P-256 with a generator of
  // somebody's choice does not pass for P-256 (CVE-2020-0601).
  const kind = NODE_CURVES.get(key.asymmetricKeyDetails?.namedCurve)
  if (kind === undefined) throw keyFault('the EC curve must be P-256 or P-384, given by name')
  return kind
}

/**
 * No point is looked at on import. Under one of small order a single forged signature fits every message,
 * as with e = 1, unless the verifier notices (OpenSSL 3.0 does not); one off the curve is a damaged key.
 */
function assertEd25519Point(encoded: Buffer): void {
  // Little-endian y, with the sign of x in the top bit (RFC 8032 §5.1.3).
  const y = BigInt(`0x${Buffer.from(encoded).reverse().toString('hex')}`) % 2n ** 255n
  if (y >= FIELD || !isOnEdwards25519(y)) {
    throw keyFault('the Ed25519 key is not a point of the curve; it is damaged')
  }
  if (hasSmallOrder(y))
    throw keyFault('the Ed25519 key is a point of small order, under which anybody can sign')
}

/** Whether some x fits: x² = (y² - 1) / (d·y² + 1) is a square, by Euler's criterion. */
function isOnEdwards25519(y: bigint): boolean {
  const square = (y * y) % FIELD
  const ratio = ((square - 1n + FIELD) * (CURVE_D * square + 1n)) % FIELD
  return power(ratio, (FIELD - 1n) / 2n) <= 1n
}

/**
 * The eight points of order 1, 2, 4 and 8: y = 1, y = -1, y = 0, and the roots of d·y⁴ + 2y² - 1, which
 * are the points whose double has y = 0.
 */
function hasSmallOrder(y: bigint): boolean {
  const square = (y * y) % FIELD
  return (y * (square - 1n) * (CURVE_D * square * square + 2n * square - 1n)) % FIELD === 0n
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  let factor = base
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * factor) % FIELD
    factor = (factor * factor) % FIELD
  }
  return result
}

const SMALL_PRIMES = primesBelow(SMALL_FACTOR_LIMIT)

function primesBelow(limit: number): readonly bigint[] {
  const primes: number[] = []
  for (let candidate = 2; candidate < limit; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate)
  }
  return primes.map(BigInt)
}
