import { createHash } from 'node:crypto'
import { type Clock, isNumericDate, toNumericDate } from '../clock.ts'
import type { JtiUse } from '../database/queries/used-jtis.ts'
import { Refusal } from '../errors.ts'
import {
  embeddedKeyOf,
  isCleanText,
  normalizeType,
  parseCompact,
  type UnverifiedJwt,
} from '../jwt/compact.ts'
import { isSignedWith, type SignatureAlgorithm } from '../jwt/signature.ts'
import type { Nonces } from './nonces.ts'
import { findProofAlgorithm, type ProofKey, requireProofKey } from './proof-key.ts'
import { normalizeTarget } from './target-uri.ts'

/** A proof with an RSA key of 8192 bits has half of that. */
const MAX_PROOF_LENGTH = 8192
/** RFC 9449 §4.2. */
const PROOF_TYPE = 'dpop+jwt'
const MAX_JTI_LENGTH = 255
/** How far from now a proof may have been made. Its nonce bounds its use more tightly, whatever its clock says. */
const FRESH_SECONDS = 300

/** The request that a proof must have been made for. */
export type ProvenRequest = {
  method: string
  /** Scheme, host and path as clients must name them: configured, never what a request says of itself. */
  target: string
  /** The access token that the proof comes with; undefined where a token is asked for. */
  accessToken: string | undefined
}

/** A proof that holds, and has not been claimed yet. */
export type VerifiedProof = {
  /** The thumbprint of the key that the sender holds. */
  jkt: string
  /** To be claimed: that it was used by the holder of this key, kept for as long as it could be used again. */
  use: JtiUse
}

/** Takes the value of a `DPoP` header. Throws Refusal `proof_…`. */
export type ProofVerifier = (proof: string, request: ProvenRequest) => VerifiedProof

/**
 * Builds the check of DPoP proofs, in the order of RFC 9449 §4.3; the nonce comes last, so that it is asked for
 * only when it is all that is missing. Whether the proof was used before is for the database to say, once the whole
 * request holds: garbage never uses one up.
 */
export function createProofVerifier(options: { nonces: Nonces; clock: Clock }): ProofVerifier {
  return function verifyProof(proof, request) {
    const now = toNumericDate(options.clock.now())
    const jwt = parseProof(proof)
    const claims = requireClaims(jwt)
    const algorithm = requireType(jwt)
    const key = requireProofKey(embeddedKeyOf(jwt), algorithm)
    assertSigned(jwt, key, algorithm)
    assertForRequest(claims, request)
    assertFresh(claims, now)
    assertForToken(claims, request.accessToken)
    assertNonce(claims, options.nonces)
    return { jkt: key.thumbprint, use: toUse(claims, key) }
  }
}

type ProofClaims = {
  jti: string
  htm: string
  htu: string
  iat: number
  nbf: number | undefined
  exp: number | undefined
  ath: string | undefined
  nonce: string | undefined
}

/** §4.3, 1 and 2. Several headers arrive as one, joined by a comma, which stands in no JWT. */
function parseProof(proof: string): UnverifiedJwt {
  if (proof.length > MAX_PROOF_LENGTH) {
    throw new Refusal('proof_malformed', { length: proof.length, limit: MAX_PROOF_LENGTH })
  }
  try {
    return parseCompact(proof)
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal('proof_malformed', error.detail)
    throw error
  }
}

/** §4.3, 3: there, and of their types. */
function requireClaims({ claims }: UnverifiedJwt): ProofClaims {
  const { jti, htm, htu, iat, nbf, exp, ath, nonce } = claims
  if (!isCleanText(jti, MAX_JTI_LENGTH) || jti === '') throw malformedClaim('jti')
  if (typeof htm !== 'string') throw malformedClaim('htm')
  if (typeof htu !== 'string') throw malformedClaim('htu')
  if (!isNumericDate(iat)) throw malformedClaim('iat')
  if (nbf !== undefined && !isNumericDate(nbf)) throw malformedClaim('nbf')
  if (exp !== undefined && !isNumericDate(exp)) throw malformedClaim('exp')
  if (ath !== undefined && typeof ath !== 'string') throw malformedClaim('ath')
  if (nonce !== undefined && typeof nonce !== 'string') throw malformedClaim('nonce')
  return { jti, htm, htu, iat, nbf, exp, ath, nonce }
}

/** §4.3, 4 and 5. */
function requireType({ header: { typ, alg } }: UnverifiedJwt): SignatureAlgorithm {
  if (normalizeType(typ) !== PROOF_TYPE) {
    throw new Refusal('proof_malformed', { fault: 'typ', received: typ?.slice(0, 100), expected: PROOF_TYPE })
  }
  const algorithm = findProofAlgorithm(alg)
  if (algorithm !== undefined) return algorithm
  throw new Refusal('proof_malformed', { fault: 'alg', received: alg.slice(0, 32) })
}

/** §4.3, 6. */
function assertSigned(jwt: UnverifiedJwt, key: ProofKey, algorithm: SignatureAlgorithm): void {
  if (isSignedWith(jwt.compact, algorithm, key.publicKey)) return
  throw new Refusal('proof_signature_invalid', { jkt: key.thumbprint })
}

/** §4.3, 8 and 9: a proof is for one method of one resource. */
function assertForRequest({ htm, htu }: ProofClaims, { method, target }: ProvenRequest): void {
  if (htm !== method) {
    throw new Refusal('proof_mismatch', { claim: 'htm', received: htm.slice(0, 32), expected: method })
  }
  const expected = normalizeTarget(target)
  if (expected === undefined || normalizeTarget(htu) !== expected) {
    throw new Refusal('proof_mismatch', { claim: 'htu', received: htu.slice(0, 300), expected })
  }
}

/** §4.3, 11. A proof may bear `nbf` and `exp` as any JWT; then they count too. */
function assertFresh({ iat, nbf, exp }: ProofClaims, now: number): void {
  const isFresh = Math.abs(now - iat) <= FRESH_SECONDS
  if (isFresh && (nbf ?? now) <= now + FRESH_SECONDS && (exp ?? now + 1) > now) return
  throw new Refusal('proof_not_fresh', { iat, nbf, exp, now, secondsAgo: now - iat })
}

/** §4.3, 12: with a token the proof names it; without one it must not name another. */
function assertForToken({ ath }: ProofClaims, accessToken: string | undefined): void {
  if (accessToken === undefined) return
  const expected = createHash('sha256').update(accessToken).digest('base64url')
  if (ath !== expected) throw new Refusal('proof_mismatch', { claim: 'ath', received: ath?.slice(0, 100) })
}

/** §4.3, 10 and §8. Asked for always: nobody can make proofs ahead, or go without by leaving it out (§11.3). */
function assertNonce({ nonce }: ProofClaims, nonces: Nonces): void {
  if (nonce !== undefined && nonces.holds(nonce)) return
  throw new Refusal(
    'proof_nonce_required',
    { fact: nonce === undefined ? 'no nonce' : 'unknown or old nonce' },
    { dpopNonce: nonces.present() },
  )
}

/** RFC 9449 §11.1. The `jti`s of a key are one set, whatever request they are for: nobody uses up another's. */
function toUse({ jti, iat }: ProofClaims, { thumbprint }: ProofKey): JtiUse {
  const digest = createHash('sha256').update(jti).digest()
  return { owner: thumbprint, digest, expiresAt: (Math.floor(iat) + FRESH_SECONDS) * 1000 }
}

function malformedClaim(claim: string): Refusal {
  return new Refusal('proof_malformed', { fault: 'claim', claim })
}
