import type { KeyObject } from 'node:crypto'
import { parseProofKey } from '../directory/public-key.ts'
import { type PrivateDetail, Refusal } from '../errors.ts'
import type { SignatureAlgorithm } from '../jwt/signature.ts'

/** How proofs may be signed, by the names in `alg`. RFC 9864 gives EdDSA over Ed25519 a name of its own. */
const ALGORITHMS: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ['ES256', 'ES256'],
  ['ES384', 'ES384'],
  ['EdDSA', 'EdDSA'],
  ['Ed25519', 'EdDSA'],
  ['PS256', 'PS256'],
  ['RS256', 'RS256'],
])

/** `dpop_signing_alg_values_supported`. */
export const PROOF_ALGORITHMS = [...ALGORITHMS.keys()]

/** The key that a proof proves possession of. */
export type ProofKey = {
  publicKey: KeyObject
  /** RFC 7638, SHA-256, base64url: what a token is bound to (RFC 9449 §6.1). */
  thumbprint: string
}

/** What `alg` names, if a proof may be signed so: an asymmetric signature of the list (RFC 9449 §4.3, 5). */
export function findProofAlgorithm(alg: string): SignatureAlgorithm | undefined {
  return ALGORITHMS.get(alg)
}

/**
 * The key in a proof's header: public (RFC 9449 §4.3, 7), as strong as the keys of accounts must be, and of the kind
 * that the proof's algorithm needs (RFC 8725 §3.1). Throws Refusal `proof_key_unusable`.
 */
export function requireProofKey(jwk: unknown, algorithm: SignatureAlgorithm): ProofKey {
  if (typeof jwk !== 'object' || jwk === null) throw unusable({ fault: 'jwk is no object' })
  const { publicKey, thumbprint, algorithms } = readKey(jwk)
  if (!algorithms.includes(algorithm)) {
    throw unusable({ fault: 'alg is not one of this kind of key', algorithm, expected: algorithms })
  }
  return { publicKey, thumbprint }
}

function readKey(jwk: object): ReturnType<typeof parseProofKey> {
  try {
    return parseProofKey({ ...jwk })
  } catch (error) {
    if (error instanceof Refusal) throw unusable({ fault: error.reason, ...error.detail })
    throw error
  }
}

function unusable(detail: PrivateDetail): Refusal {
  return new Refusal('proof_key_unusable', detail)
}
