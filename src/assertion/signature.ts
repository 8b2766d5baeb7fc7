import { type CryptoKey, compactVerify, importJWK, type JWK } from 'jose'
import type { IssuerKey } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'
import type { UnverifiedJwt } from '../jwt/compact.ts'

/** Imported keys that are kept; the one that came first goes first. A few hundred bytes each. */
const MAX_IMPORTED_KEYS = 50_000

/**
 * Builds the signature check. Imported key material is kept by key id, which is safe because a key's material
 * never changes under its id; whether the key may still be used is read from the database every time.
 *
 * The check tries the candidates in turn and answers the one that signed.
 * Throws Refusal `signature_invalid` (RFC 7523 §3, 9).
 */
export function createSignatureVerifier() {
  const imported = new Map<string, CryptoKey>()

  return async function verifySignature(
    jwt: UnverifiedJwt,
    candidates: readonly IssuerKey[],
  ): Promise<IssuerKey> {
    for (const candidate of candidates) {
      if (await isSignedBy(jwt, await importKey(candidate))) return candidate
    }
    throw new Refusal('signature_invalid', { tried: candidates.map((candidate) => candidate.id) })
  }

  async function importKey(key: IssuerKey): Promise<CryptoKey> {
    const known = imported.get(key.id)
    if (known !== undefined) return known
    const fresh = (await importJWK(key.publicKey as JWK, key.algorithm)) as CryptoKey
    const [oldest] = imported.keys()
    if (imported.size >= MAX_IMPORTED_KEYS && oldest !== undefined) imported.delete(oldest)
    imported.set(key.id, fresh)
    return fresh
  }
}

/** jose's reasons stay here: its messages must not reach a caller, and some of its faults are plain TypeErrors. */
async function isSignedBy(jwt: UnverifiedJwt, publicKey: CryptoKey): Promise<boolean> {
  try {
    await compactVerify(jwt.compact, publicKey, { algorithms: [jwt.header.alg] })
    return true
  } catch {
    return false
  }
}
