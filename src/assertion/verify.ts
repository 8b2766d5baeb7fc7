import { type Clock, toNumericDate } from '../clock.ts'
import type { IssuerKey } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'
import { isCleanText, normalizeType, parseCompact, type UnverifiedJwt } from '../jwt/compact.ts'
import { requireCandidates } from './keys.ts'
import { assertSignedSince } from './restoration.ts'
import { createSignatureVerifier } from './signature.ts'

/** Larger assertions are refused before any work is done on them. Two hundred extra claims still fit. */
export const MAX_ASSERTION_LENGTH = 16_384
/** Of `iss`, and of a `sub` that is looked up. */
export const MAX_ISSUER_LENGTH = 320

/** An assertion that holds: who signed it, with which key, and what it says. */
export type Verified<Issuer, Claims> = { issuer: Issuer; key: IssuerKey; claims: Claims }

/** What an assertion is for, which decides who may sign it and what it must say. */
export type AssertionKind<Issuer extends { keys: readonly IssuerKey[] }, Claims> = {
  /** What `typ` may say, normalized; undefined for none (RFC 8725 §3.11). */
  types: readonly (string | undefined)[]
  /** The batched look-up of whoever `iss` names, with the keys that come into question. `now` in milliseconds. */
  findIssuer(jwt: UnverifiedJwt, name: string, now: number): Promise<Issuer | undefined>
  /** Refuses who is not known or may not act. */
  requireActive(issuer: Issuer | undefined): Issuer
  /** Judges what a verified assertion says. `now` is a NumericDate. */
  checkClaims(jwt: UnverifiedJwt, signed: { issuer: Issuer; key: IssuerKey }, now: number): Claims
  /** What the operator, and the trail, are told of an issuer whose assertion is refused. */
  describe(issuer: Issuer): Record<string, unknown>
}

export type VerifyAssertion = <Issuer extends { keys: readonly IssuerKey[] }, Claims>(
  assertion: string,
  kind: AssertionKind<Issuer, Claims>,
) => Promise<Verified<Issuer, Claims>>

/**
 * Builds the checks of RFC 7523 §3, in its order, for every kind of assertion. The answer is a verified assertion
 * whose `jti` has not been claimed yet: that is the last thing to be done with it, so a garbage assertion never
 * burns one (promise 2). Throws Refusal with one of the assertion's reasons.
 */
export function createAssertionVerifier(
  clock: Clock,
  /** When the database was last put back from a backup, in milliseconds. */
  lastRestoration: () => number | undefined = () => undefined,
): VerifyAssertion {
  const verifySignature = createSignatureVerifier()

  return async function verifyAssertion(assertion, kind) {
    const jwt = parseAssertion(assertion, kind.types)
    const name = requireIssuerName(jwt)
    const now = clock.now()
    const found = await kind.findIssuer(jwt, name, now)
    try {
      const issuer = kind.requireActive(found)
      const key = verifySignature(jwt, requireCandidates(jwt, issuer.keys, now))
      const claims = kind.checkClaims(jwt, { issuer, key }, toNumericDate(now))
      assertSignedSince(jwt.claims, lastRestoration(), toNumericDate(now))
      return { issuer, key, claims }
    } catch (error) {
      throw withSender(error, { iss: name, kid: jwt.header.kid, ...(found && kind.describe(found)) })
    }
  }
}

function parseAssertion(assertion: string, types: readonly (string | undefined)[]): UnverifiedJwt {
  assertSize(assertion)
  const jwt = parseCompact(assertion)
  assertType(jwt, types)
  return jwt
}

/** Throws Refusal `assertion_too_large`. */
export function assertSize({ length }: string): void {
  if (length <= MAX_ASSERTION_LENGTH) return
  throw new Refusal('assertion_too_large', { length, limit: MAX_ASSERTION_LENGTH })
}

/** RFC 8725 §3.11. Throws Refusal `assertion_type_unexpected`. */
export function assertType({ header: { typ } }: UnverifiedJwt, types: readonly (string | undefined)[]): void {
  if (types.includes(normalizeType(typ))) return
  throw new Refusal('assertion_type_unexpected', { received: typ?.slice(0, 100), expected: types })
}

/** RFC 7523 §3, 1: `iss` is needed before anything can be looked up. Throws Refusal `claim_malformed`. */
export function requireIssuerName(jwt: UnverifiedJwt): string {
  const { iss } = jwt.claims
  if (isCleanText(iss, MAX_ISSUER_LENGTH) && iss !== '') return iss
  throw new Refusal('claim_malformed', { claim: 'iss' })
}

/** The operator's voice: every refusal says whose assertion it was, as far as that is known. */
function withSender(error: unknown, sender: Record<string, unknown>): unknown {
  if (!(error instanceof Refusal)) return error
  return new Refusal(error.reason, { ...sender, ...error.detail }, error.told)
}
