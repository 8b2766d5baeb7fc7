import { constants, type KeyObject, type SigningOptions, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'

/** The algorithms of RFC 7518 §3.1 and RFC 8037 §3.1 that this server knows; nothing symmetric, never `none`. */
export type SignatureAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'

/** `length`: of a signature, in bytes, where the algorithm alone decides it. */
type Scheme = { digest: 'sha256' | 'sha384' | null; options: SigningOptions; length?: number }

/** RFC 7518 §3.4: the two numbers of an EC signature side by side, not in DER. */
const EC: SigningOptions = { dsaEncoding: 'ieee-p1363' }
const SCHEMES: Record<SignatureAlgorithm, Scheme> = {
  RS256: { digest: 'sha256', options: { padding: constants.RSA_PKCS1_PADDING } },
  // RFC 7518 §3.5: the salt is as long as the digest.
  PS256: { digest: 'sha256', options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } },
  ES256: { digest: 'sha256', options: EC, length: 64 },
  ES384: { digest: 'sha384', options: EC, length: 96 },
  EdDSA: { digest: null, options: {} },
}

/**
 * Whether a compact JWS bears a signature of the key in the given algorithm (RFC 7515 §5.2). The algorithm is the
 * key's own and never the header's word; the caller has compared the two, and the JWS has passed `parseCompact`.
 *
 * On the calling thread, where it takes less than handing it to another one does: see docs/decisions/0028.
 */
export function isSignedWith(compact: string, algorithm: SignatureAlgorithm, publicKey: KeyObject): boolean {
  const { digest, options, length } = SCHEMES[algorithm]
  const end = compact.lastIndexOf('.')
  const input = Buffer.from(compact.slice(0, end), 'latin1')
  const signature = Buffer.from(compact.slice(end + 1), 'base64url')
  // RFC 7518 §3.4: an EC signature has one spelling; what OpenSSL would take besides it is none.
  if (length !== undefined && signature.length !== length) return false
  return verify(digest, input, { key: publicKey, ...options }, signature)
}

const signOnOtherThread = promisify(sign)

/**
 * Signs a JWT (RFC 7515 §5.1) with a private key in the algorithm that is the key's own; the header names it.
 *
 * On the calling thread, but for RSA: that takes longer than everything else in a request together, and another thread
 * has a core of its own for it. See docs/decisions/0028.
 */
export async function signJwt(
  header: { alg: SignatureAlgorithm; typ: string; kid: string },
  claims: object,
  privateKey: KeyObject,
): Promise<string> {
  const { digest, options } = SCHEMES[header.alg]
  const input = `${encode(header)}.${encode(claims)}`
  const bytes = Buffer.from(input, 'latin1')
  const key = { key: privateKey, ...options }
  const signature =
    privateKey.asymmetricKeyType === 'rsa'
      ? await signOnOtherThread(digest, bytes, key)
      : sign(digest, bytes, key)
  return `${input}.${signature.toString('base64url')}`
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
