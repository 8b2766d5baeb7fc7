import { Refusal } from '../errors.ts'
import { type Claims, findJti, listTimeChecks, requireAudience, requireTimes, shorten } from './claims.ts'
import type { ClaimCheck } from './explanation.ts'

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
  return { jti: requireJti(claims), expiresAt, audience }
}

/**
 * The same checks in the same order, each by itself, for who wants to see them all. Without a context, which is who
 * has signed, most are open.
 */
export function listClientChecks(
  claims: Claims,
  context: ClientClaimsContext | undefined,
  now: number,
): readonly ClaimCheck[] {
  const { sub, aud, jti } = claims
  return [
    {
      name: 'sub',
      facts: {
        received: sub === undefined ? null : shorten(sub),
        expected: context?.names ?? [],
        delegated: [],
      },
      run:
        context &&
        (() => {
          assertSubject(claims, context)
          return sub
        }),
    },
    {
      name: 'aud',
      facts: { received: aud === undefined ? null : shorten(aud), expected: context?.audiences ?? [] },
      run: context && (() => requireAudience(claims, context.audiences)),
    },
    ...listTimeChecks(claims, { maxLifetimeSeconds: context?.maxLifetimeSeconds, now }),
    {
      name: 'jti',
      facts: { received: jti === undefined ? null : shorten(jti), isRequired: true },
      run: () => requireJti(claims),
    },
  ]
}

/** §3, 7. Not asked for by the RFC; but this assertion stands for a password, and is sent as often as one. */
function requireJti(claims: Claims): string {
  const jti = findJti(claims)
  if (jti === undefined) throw new Refusal('jti_required')
  return jti
}

/** §3, 2B: the client itself. Also where a grant may leave `sub` out or name an end user. */
function assertSubject({ sub }: Claims, { names }: ClientClaimsContext): void {
  if (typeof sub !== 'string')
    throw new Refusal('claim_malformed', { claim: 'sub' }, { hint: 'sub is required and must be a string' })
  if (!names.includes(sub))
    throw new Refusal('subject_not_allowed', { received: sub.slice(0, 320), expected: names })
}
