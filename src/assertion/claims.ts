import type { Issuer, IssuerKey } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'
import { isCleanText } from '../jwt/compact.ts'
import { mayActFor } from './subject.ts'

/** How far clocks may differ, either way (RFC 7519 §4.1.4). */
export const CLOCK_SKEW_SECONDS = 30
/** A NumericDate after the year 9999 is milliseconds by mistake, or mischief. */
const LATEST_NUMERIC_DATE = 253_402_300_799
const MAX_JTI_LENGTH = 255

/** What a verified assertion says. Times are NumericDates in whole seconds. */
export type GrantClaims = {
  /** The account's id, or the end user for whom it acts. */
  subject: string
  expiresAt: number
  jti: string | undefined
  /** A default when the form has no scope, a ceiling when it has. */
  scope: string | undefined
}

export type ClaimsContext = {
  issuer: Pick<
    Issuer,
    | 'accountId'
    | 'accountEmail'
    | 'assertionPolicy'
    | 'organizationSettings'
    | 'delegation'
    | 'subjectIsAccount'
  >
  key: Pick<IssuerKey, 'type'>
  audiences: { issuer: string; tokenEndpoint: string }
  /** NumericDate in whole seconds. */
  now: number
  skewSeconds?: number
}

type Claims = Readonly<Record<string, unknown>>

/**
 * Judges the claims of an assertion whose signature holds, in the order of RFC 7523 §3: sub, aud, exp, nbf,
 * iat, jti; then scope. All other claims are ignored (§3, 8). Throws Refusal with the first fault.
 */
export function checkClaims(claims: Claims, context: ClaimsContext): GrantClaims {
  const subject = requireSubject(claims, context)
  requireAudience(claims, context)
  const expiresAt = requireUnexpired(claims, context)
  requireBegun(claims, context)
  requireShortLife(claims, expiresAt, context)
  const jti = requireJti(claims, context)
  return { subject, expiresAt, jti, scope: requireScope(claims) }
}

/** §3, 2. The issuer itself, named by id or email, or somebody for whom it may act. */
function requireSubject(claims: Claims, { issuer, audiences }: ClaimsContext): string {
  const { sub } = claims
  if (sub === undefined && issuer.assertionPolicy.profile === 'google') return issuer.accountId
  if (typeof sub !== 'string')
    throw new Refusal('claim_malformed', { claim: 'sub' }, told('sub is required and must be a string'))
  if (sub === issuer.accountId || sub === issuer.accountEmail) return issuer.accountId
  if (mayActFor(issuer, sub, audiences.issuer)) return sub
  throw new Refusal('subject_not_allowed', {
    received: sub.slice(0, 320),
    expected: issuer.accountId,
    delegated: issuer.delegation?.subjects ?? null,
    isAccount: issuer.subjectIsAccount,
  })
}

/**
 * §3, 3. Exactly one value, so that no other server that is also named could use the assertion here, compared
 * as a simple string (RFC 3986 §6.2.1). Extra audiences count only for keys made here: a key that is also
 * registered elsewhere would make assertions replayable in both directions.
 */
function requireAudience(claims: Claims, { issuer, key, audiences }: ClaimsContext): void {
  const { aud } = claims
  const extra = key.type === 'rsa' ? issuer.assertionPolicy.extraAudiences : []
  const accepted = [audiences.issuer, audiences.tokenEndpoint, ...extra]
  const [value, ...others]: unknown[] = Array.isArray(aud) ? aud : [aud]
  if (others.length === 0 && typeof value === 'string' && accepted.includes(value)) return
  throw new Refusal('audience_mismatch', { received: shorten(aud), expected: accepted })
}

/** §3, 4. */
function requireUnexpired(claims: Claims, context: ClaimsContext): number {
  const exp = requireNumericDate(claims, 'exp')
  const skew = context.skewSeconds ?? CLOCK_SKEW_SECONDS
  if (context.now >= exp + skew) {
    throw new Refusal('assertion_expired', { exp, now: context.now, secondsAgo: context.now - exp })
  }
  return Math.floor(exp)
}

/** §3, 5 and 6: neither `nbf` nor `iat` may lie in the future. */
function requireBegun(claims: Claims, context: ClaimsContext): void {
  const skew = context.skewSeconds ?? CLOCK_SKEW_SECONDS
  for (const claim of ['nbf', 'iat'] as const) {
    if (claims[claim] === undefined) continue
    const time = requireNumericDate(claims, claim)
    if (time <= context.now + skew) continue
    throw new Refusal('assertion_not_yet_valid', {
      claim,
      received: time,
      now: context.now,
      secondsAhead: time - context.now,
    })
  }
}

/** §3, 4 and 6: an `exp` unreasonably far off, or an `iat` unreasonably old, measured as one life time. */
function requireShortLife(claims: Claims, expiresAt: number, context: ClaimsContext): void {
  const issuedAt = claims.iat === undefined ? context.now : requireNumericDate(claims, 'iat')
  const limit = context.issuer.assertionPolicy.maxLifetimeSeconds
  const lifetime = expiresAt - issuedAt
  if (lifetime <= limit + (context.skewSeconds ?? CLOCK_SKEW_SECONDS)) return
  throw new Refusal(
    'assertion_lifetime_too_long',
    { lifetime, limit, iat: claims.iat === undefined ? null : issuedAt, exp: expiresAt },
    told(`exp may be at most ${limit} seconds after iat`),
  )
}

/** §3, 7. Only its form: it is claimed when everything else holds, with the grant record. */
function requireJti(claims: Claims, { issuer }: ClaimsContext): string | undefined {
  const { jti } = claims
  if (jti === undefined) {
    if (!issuer.assertionPolicy.requireJti && !issuer.organizationSettings.requireJti) return undefined
    throw new Refusal('jti_required')
  }
  if (isCleanText(jti, MAX_JTI_LENGTH) && jti !== '') return jti
  throw new Refusal(
    'claim_malformed',
    { claim: 'jti' },
    told(`jti must be a string of 1 to ${MAX_JTI_LENGTH} characters`),
  )
}

/** RFC 8693 §4.2: one string. Any other type is refused, not ignored: a ceiling that was meant must not vanish. */
function requireScope({ scope }: Claims): string | undefined {
  if (scope === undefined || typeof scope === 'string') return scope
  throw new Refusal(
    'claim_malformed',
    { claim: 'scope', received: shorten(scope) },
    told('scope must be a string of names separated by spaces'),
  )
}

/** RFC 7519 §2: a JSON number, possibly with a fraction. JSON lets 1e400 become Infinity. */
function requireNumericDate(claims: Claims, name: 'exp' | 'nbf' | 'iat'): number {
  const value = claims[name]
  if (typeof value === 'number' && value > 0 && value <= LATEST_NUMERIC_DATE) return value
  throw new Refusal(
    'claim_malformed',
    { claim: name, received: shorten(value) },
    told(`${name} ${value === undefined ? 'is required and ' : ''}must be a number of seconds since 1970`),
  )
}

function told(hint: string): { hint: string } {
  return { hint }
}

/** A claim of any type and size as it may stand in a log: short, and without walking into it. */
function shorten(value: unknown): string {
  if (Array.isArray(value))
    return `array of ${value.length}: ${value
      .slice(0, 3)
      .map((item) => String(typeof item === 'object' ? typeof item : item).slice(0, 200))
      .join(', ')}`
  return typeof value === 'object' && value !== null ? 'object' : String(value).slice(0, 300)
}
