import type { IssuerKey } from '../database/queries/issuers.ts'
import type { KeyAlgorithm } from '../database/tables.ts'
import { Refusal } from '../errors.ts'
import type { UnverifiedJwt } from '../jwt/compact.ts'

/** RFC 9864 gives EdDSA over Ed25519 a name of its own; both mean the same signature. */
const ALGORITHM_NAMES: Record<KeyAlgorithm, readonly string[]> = {
  RS256: ['RS256'],
  PS256: ['PS256'],
  ES256: ['ES256'],
  ES384: ['ES384'],
  EdDSA: ['EdDSA', 'Ed25519'],
}

/** Every `alg` that an assertion may have, for the metadata (RFC 8414 §2). */
export const ASSERTION_ALGORITHMS: readonly string[] = Object.values(ALGORITHM_NAMES).flat()

/**
 * The issuer's keys that may have made the signature: usable now, and of the header's algorithm, since a key
 * has exactly one (RFC 8725 §3.1). Decided before any signature is computed.
 * Throws Refusal `key_…` or `algorithm_mismatch`. `now` in milliseconds.
 */
export function requireCandidates(
  jwt: UnverifiedJwt,
  keys: readonly IssuerKey[],
  now: number,
): readonly [IssuerKey, ...IssuerKey[]] {
  return requireFitting(jwt, requireUsable(keys, now))
}

/** Those that may be used now. Throws Refusal `key_unknown`, or what the state of the first one says. */
export function requireUsable(keys: readonly IssuerKey[], now: number): readonly IssuerKey[] {
  const [first] = keys
  if (first === undefined) throw new Refusal('key_unknown')
  const usable = keys.filter((key) => isUsable(key, now))
  if (usable.length === 0) throw unusable(first, now)
  return usable
}

/** Those whose algorithm the header names. Throws Refusal `algorithm_mismatch`. */
export function requireFitting(
  jwt: UnverifiedJwt,
  keys: readonly IssuerKey[],
): readonly [IssuerKey, ...IssuerKey[]] {
  const [candidate, ...others] = keys.filter((key) => ALGORITHM_NAMES[key.algorithm].includes(jwt.header.alg))
  if (candidate !== undefined) return [candidate, ...others]
  throw new Refusal('algorithm_mismatch', {
    received: jwt.header.alg.slice(0, 32),
    expected: keys.map((key) => key.algorithm),
    keyIds: keys.map((key) => key.id),
  })
}

function isUsable(key: IssuerKey, now: number): boolean {
  return key.status === 'active' && !isExpired(key, now) && !isEarly(key, now)
}

function unusable(key: IssuerKey, now: number): Refusal {
  const state = { keyId: key.id, status: key.status, notBefore: key.notBefore, expiresAt: key.expiresAt }
  if (key.status === 'revoked') return new Refusal('key_revoked', state)
  if (key.status === 'disabled') return new Refusal('key_disabled', state)
  return new Refusal(isExpired(key, now) ? 'key_expired' : 'key_not_yet_valid', state)
}

function isExpired(key: IssuerKey, now: number): boolean {
  return key.expiresAt !== null && now >= key.expiresAt.getTime()
}

function isEarly(key: IssuerKey, now: number): boolean {
  return key.notBefore !== null && now < key.notBefore.getTime()
}
