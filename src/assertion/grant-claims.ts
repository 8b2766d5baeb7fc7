import type { Issuer, IssuerKey } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'
import {
  type Claims,
  findJti,
  listTimeChecks,
  requireAudience,
  requireTimes,
  shorten,
  told,
} from './claims.ts'
import type { ClaimCheck } from './explanation.ts'
import { mayActFor } from './subject.ts'

/** What a verified assertion says. Times are NumericDates in whole seconds. */
export type GrantClaims = {
  /** The account's id, or the end user for whom it acts. */
  subject: string
  expiresAt: number
  jti: string | undefined
  /** A default when the form has no scope, a ceiling when it has. */
  scope: string | undefined
}

export type GrantClaimsContext = {
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

/**
 * Judges the claims of an assertion whose signature holds, in the order of RFC 7523 §3: sub, aud, exp, nbf,
 * iat, jti; then scope. All other claims are ignored (§3, 8). Throws Refusal with the first fault.
 */
export function checkGrantClaims(claims: Claims, context: GrantClaimsContext): GrantClaims {
  const subject = requireSubject(claims, context)
  requireAudience(claims, audiencesFor(context))
  const { maxLifetimeSeconds } = context.issuer.assertionPolicy
  const expiresAt = requireTimes(claims, { ...context, maxLifetimeSeconds })
  const jti = requireJti(claims, context)
  return { subject, expiresAt, jti, scope: requireScope(claims) }
}

/**
 * The same checks in the same order, each by itself, for who wants to see them all. Without a context, which is who
 * has signed, most are open.
 */
export function listGrantChecks(
  claims: Claims,
  context: GrantClaimsContext | undefined,
  now: number,
): readonly ClaimCheck[] {
  const { sub, aud, jti, scope } = claims
  const issuer = context?.issuer
  return [
    {
      name: 'sub',
      facts: {
        received: sub === undefined ? null : shorten(sub),
        expected: issuer ? [issuer.accountId, issuer.accountEmail] : [],
        delegated: issuer?.delegation?.subjects ?? [],
      },
      run: context && (() => requireSubject(claims, context)),
    },
    {
      name: 'aud',
      facts: {
        received: aud === undefined ? null : shorten(aud),
        expected: context ? audiencesFor(context) : [],
      },
      run: context && (() => requireAudience(claims, audiencesFor(context))),
    },
    ...listTimeChecks(claims, { maxLifetimeSeconds: issuer?.assertionPolicy.maxLifetimeSeconds, now }),
    {
      name: 'jti',
      facts: {
        received: jti === undefined ? null : shorten(jti),
        isRequired: context && isJtiRequired(context),
      },
      run: context && (() => requireJti(claims, context)),
    },
    {
      name: 'scope',
      facts: { received: scope === undefined ? null : shorten(scope) },
      run: () => requireScope(claims),
    },
  ]
}

/** §3, 2. The issuer itself, named by id or email, or somebody for whom it may act. */
function requireSubject(claims: Claims, { issuer, audiences }: GrantClaimsContext): string {
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
 * The issuer or the token endpoint. Extra audiences count only for keys made here: a key that is also registered
 * elsewhere would make assertions replayable in both directions.
 */
function audiencesFor({ issuer, key, audiences }: GrantClaimsContext): readonly string[] {
  const extra = key.type === 'rsa' ? issuer.assertionPolicy.extraAudiences : []
  return [audiences.issuer, audiences.tokenEndpoint, ...extra]
}

/** §3, 7: it may be absent unless account or organization want one. */
function requireJti(claims: Claims, context: GrantClaimsContext): string | undefined {
  const jti = findJti(claims)
  if (jti === undefined && isJtiRequired(context)) throw new Refusal('jti_required')
  return jti
}

function isJtiRequired({ issuer }: GrantClaimsContext): boolean {
  return issuer.assertionPolicy.requireJti || issuer.organizationSettings.requireJti
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
