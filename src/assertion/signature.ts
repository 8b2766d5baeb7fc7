import { createPublicKey, type KeyObject } from 'node:crypto'
import type { IssuerKey } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'
import type { UnverifiedJwt } from '../jwt/compact.ts'
import { isSignedWith } from '../jwt/signature.ts'

/** Imported keys that are kept; the one that came first goes first. A few hundred bytes each. */
const MAX_IMPORTED_KEYS = 50_000

/**
 * Builds the signature check. Imported key material is kept by key id, which is safe because a key's material
 * never changes under its id; whether the key may still be used is read from the database every time.
 *
 * The check tries the candidates in turn and answers the one that signed; their algorithm is the header's already
 * (`requireCandidates`). Throws Refusal `signature_invalid` (RFC 7523 §3, 9).
 */
export function createSignatureVerifier() {
  const imported = new Map<string, KeyObject>()

  return function verifySignature(jwt: UnverifiedJwt, candidates: readonly IssuerKey[]): IssuerKey {
    const signer = candidates.find((candidate) =>
      isSignedWith(jwt.compact, candidate.algorithm, importKey(candidate)),
    )
    if (signer !== undefined) return signer
    throw new Refusal('signature_invalid', { tried: candidates.map((candidate) => candidate.id) })
  }

  function importKey(key: IssuerKey): KeyObject {
    const known = imported.get(key.id)
    if (known !== undefined) return known
    const fresh = createPublicKey({ key: key.publicKey, format: 'jwk' })
    const [oldest] = imported.keys()
    if (imported.size >= MAX_IMPORTED_KEYS && oldest !== undefined) imported.delete(oldest)
    imported.set(key.id, fresh)
    return fresh
  }
}
