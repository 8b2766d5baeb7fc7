import { Refusal } from '../errors.ts'
import { type Claims, findJti, requireAudience, requireTimes } from './claims.ts'

/** What a verified client assertion says. */
export type ClientClaims = {
  jti: string
  /** NumericDate in whole seconds. */
  expiresAt: number
  /** The one value of `aud`. */
  audience: string
}

export type ClientClaimsContext = {
  /** How `sub` may name who has signed. */
  names: readonly string[]
  audiences: readonly string[]
  maxLifetimeSeconds: number
  /** NumericDate in whole seconds. */
  now: number
  skewSeconds?: number
}

/**
 * Judges the claims of a client assertion whose signature holds, in the order of RFC 7523 §3: sub, aud, exp, nbf,
 * iat, jti. All other claims are ignored (§3, 8). Throws Refusal with the first fault.
 */
export function checkClientClaims(claims: Claims, context: ClientClaimsContext): ClientClaims {
  assertSubject(claims, context)
  const audience = requireAudience(claims, context.audiences)
  const expiresAt = requireTimes(claims, context)
  const jti = findJti(claims)
  // Not asked for by the RFC; but this assertion stands for a password, and is sent as often as one.
  if (jti === undefined) throw new Refusal('jti_required')
  return { jti, expiresAt, audience }
}

/** §3, 2B: the client itself. Also where a grant may leave `sub` out or name an end user. */
function assertSubject({ sub }: Claims, { names }: ClientClaimsContext): void {
  if (typeof sub !== 'string')
    throw new Refusal('claim_malformed', { claim: 'sub' }, { hint: 'sub is required and must be a string' })
  if (!names.includes(sub))
    throw new Refusal('subject_not_allowed', { received: sub.slice(0, 320), expected: names })
}
