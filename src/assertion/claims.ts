import { isNumericDate } from '../clock.ts'
import { Refusal } from '../errors.ts'
import { isCleanText } from '../jwt/compact.ts'
import type { ClaimCheck } from './explanation.ts'

/** How far clocks may differ, either way (RFC 7519 §4.1.4). */
export const CLOCK_SKEW_SECONDS = 30
const MAX_JTI_LENGTH = 255

export type Claims = Readonly<Record<string, unknown>>

export type TimesContext = {
  maxLifetimeSeconds: number
  /** NumericDate in whole seconds. */
  now: number
  skewSeconds?: number
}

/**
 * RFC 7523 §3, 3. Exactly one value, so that no other server that is also named could use the assertion here,
 * compared as a simple string (RFC 3986 §6.2.1). Answers it. Throws Refusal `audience_mismatch`.
 */
export function requireAudience({ aud }: Claims, accepted: readonly string[]): string {
  const [value, ...others]: unknown[] = Array.isArray(aud) ? aud : [aud]
  if (others.length === 0 && typeof value === 'string' && accepted.includes(value)) return value
  throw new Refusal('audience_mismatch', { received: shorten(aud), expected: accepted })
}

/**
 * RFC 7523 §3, 4 to 6: `exp`, `nbf`, `iat`. Answers the expiry as a NumericDate in whole seconds. Throws Refusal
 * `claim_malformed` or one of `assertion_…`.
 */
export function requireTimes(claims: Claims, context: TimesContext): number {
  const expiresAt = requireUnexpired(claims, context)
  assertBegun(claims, 'nbf', context)
  assertBegun(claims, 'iat', context)
  assertShortLife(claims, expiresAt, context)
  return expiresAt
}

/** The checks of `requireTimes`, each by itself; without a limit the life time is open. */
export function listTimeChecks(
  claims: Claims,
  {
    maxLifetimeSeconds: limit,
    ...times
  }: Omit<TimesContext, 'maxLifetimeSeconds'> & {
    maxLifetimeSeconds: number | undefined
  },
): readonly ClaimCheck[] {
  const { exp, iat } = claims
  const { now, skewSeconds = CLOCK_SKEW_SECONDS } = times
  const canMeasure = isNumericDate(exp) && (iat === undefined || isNumericDate(iat))
  const of = (claim: 'exp' | 'nbf' | 'iat') => ({ received: numberOrText(claims[claim]), now, skewSeconds })
  return [
    { name: 'exp', facts: of('exp'), run: () => requireUnexpired(claims, times) },
    { name: 'nbf', facts: of('nbf'), run: () => assertBegun(claims, 'nbf', times) },
    { name: 'iat', facts: of('iat'), run: () => assertBegun(claims, 'iat', times) },
    {
      name: 'lifetime',
      facts: {
        received: canMeasure ? Math.floor(exp) - (isNumericDate(iat) ? iat : now) : null,
        limit: limit ?? null,
        skewSeconds,
      },
      run:
        canMeasure && limit !== undefined
          ? () => assertShortLife(claims, Math.floor(exp), { ...times, maxLifetimeSeconds: limit })
          : undefined,
    },
  ]
}

function numberOrText(value: unknown): number | string | null {
  if (value === undefined) return null
  return typeof value === 'number' ? value : shorten(value)
}

/**
 * RFC 7523 §3, 7. Only its form: it is claimed when everything else holds. undefined where there is none.
 * Throws Refusal `claim_malformed`.
 */
export function findJti({ jti }: Claims): string | undefined {
  if (jti === undefined || (isCleanText(jti, MAX_JTI_LENGTH) && jti !== '')) return jti
  throw new Refusal(
    'claim_malformed',
    { claim: 'jti' },
    told(`jti must be a string of 1 to ${MAX_JTI_LENGTH} characters`),
  )
}

/** §3, 4. Answers the expiry as a NumericDate in whole seconds. Throws Refusal `claim_malformed` or `assertion_expired`. */
function requireUnexpired(claims: Claims, context: Omit<TimesContext, 'maxLifetimeSeconds'>): number {
  const exp = requireNumericDate(claims, 'exp')
  const skew = context.skewSeconds ?? CLOCK_SKEW_SECONDS
  if (context.now >= exp + skew) {
    throw new Refusal('assertion_expired', { exp, now: context.now, secondsAgo: context.now - exp })
  }
  return Math.floor(exp)
}

/**
 * §3, 5 and 6: neither `nbf` nor `iat` may lie in the future. Throws Refusal `claim_malformed` or
 * `assertion_not_yet_valid`.
 */
function assertBegun(
  claims: Claims,
  claim: 'nbf' | 'iat',
  context: Omit<TimesContext, 'maxLifetimeSeconds'>,
): void {
  if (claims[claim] === undefined) return
  const time = requireNumericDate(claims, claim)
  if (time <= context.now + (context.skewSeconds ?? CLOCK_SKEW_SECONDS)) return
  throw new Refusal('assertion_not_yet_valid', {
    claim,
    received: time,
    now: context.now,
    secondsAhead: time - context.now,
  })
}

/**
 * §3, 4 and 6: an `exp` unreasonably far off, or an `iat` unreasonably old, measured as one life time. Throws Refusal
 * `claim_malformed` or `assertion_lifetime_too_long`.
 */
function assertShortLife(claims: Claims, expiresAt: number, context: TimesContext): void {
  const issuedAt = claims.iat === undefined ? context.now : requireNumericDate(claims, 'iat')
  const limit = context.maxLifetimeSeconds
  const lifetime = expiresAt - issuedAt
  if (lifetime <= limit + (context.skewSeconds ?? CLOCK_SKEW_SECONDS)) return
  throw new Refusal(
    'assertion_lifetime_too_long',
    { lifetime, limit, iat: claims.iat === undefined ? null : issuedAt, exp: expiresAt },
    told(`exp may be at most ${limit} seconds after iat`),
  )
}

/** RFC 7519 §2: a JSON number, possibly with a fraction. JSON lets 1e400 become Infinity. */
function requireNumericDate(claims: Claims, name: 'exp' | 'nbf' | 'iat'): number {
  const value = claims[name]
  if (isNumericDate(value)) return value
  throw new Refusal(
    'claim_malformed',
    { claim: name, received: shorten(value) },
    told(`${name} ${value === undefined ? 'is required and ' : ''}must be a number of seconds since 1970`),
  )
}

/** What the caller is told besides. */
export function told(hint: string): { hint: string } {
  return { hint }
}

/** A claim of any type and size as it may stand in a log: short, and without walking into it. */
export function shorten(value: unknown): string {
  if (Array.isArray(value))
    return `array of ${value.length}: ${value
      .slice(0, 3)
      .map((item) => String(typeof item === 'object' ? typeof item : item).slice(0, 200))
      .join(', ')}`
  return typeof value === 'object' && value !== null ? 'object' : String(value).slice(0, 300)
}
