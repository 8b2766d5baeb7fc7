import { type Clock, toNumericDate } from '../clock.ts'
import type { Issuer, IssuerKey, IssuerLookup } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'
import { isCleanText, normalizeType, parseCompact, type UnverifiedJwt } from '../jwt/compact.ts'
import { checkClaims, type GrantClaims } from './claims.ts'
import { requireCandidates } from './keys.ts'
import { createSignatureVerifier } from './signature.ts'

/** Larger assertions are refused before any work is done on them. Two hundred extra claims still fit. */
const MAX_ASSERTION_LENGTH = 16_384
/** RFC 8725 §3.11; the WIMSE drafts name the second, most clients send the first or nothing. */
const GRANT_TYPES: readonly (string | undefined)[] = [undefined, 'jwt', 'authorization-grant+jwt']
const MAX_ISSUER_LENGTH = 320

/** An assertion that holds: who signed it, with which key, and what it says. */
export type VerifiedAssertion = { issuer: Issuer; key: IssuerKey; claims: GrantClaims }

export type AssertionVerifierOptions = {
  /** The batched look-up of accounts, their keys and permissions. */
  findIssuer: (lookup: IssuerLookup) => Promise<Issuer | undefined>
  /** The values that name this server in `aud`: configured strings, compared byte for byte. */
  audiences: { issuer: string; tokenEndpoint: string }
  clock: Clock
}

/**
 * Builds the verifier of authorization-grant assertions (RFC 7523 §3). Its answer is a verified assertion
 * whose `jti` has not been claimed yet: the insert of the grant record does that, so a garbage assertion
 * never burns one (promise 2). Throws Refusal with one of the assertion's reasons.
 */
export function createAssertionVerifier(options: AssertionVerifierOptions) {
  const verifySignature = createSignatureVerifier()

  return async function verifyAssertion(assertion: string): Promise<VerifiedAssertion> {
    const jwt = parseAssertion(assertion)
    const issuerName = requireIssuerName(jwt)
    const now = options.clock.now()
    const lookup = { issuer: issuerName, kid: jwt.header.kid, subject: findEmailSubject(jwt), now }
    const issuer = await options.findIssuer(lookup)
    try {
      const known = requireActive(issuer)
      const key = verifySignature(jwt, requireCandidates(jwt, known.keys, now))
      const claims = checkClaims(jwt.claims, {
        issuer: known,
        key,
        audiences: options.audiences,
        now: toNumericDate(now),
      })
      return { issuer: known, key, claims }
    } catch (error) {
      throw withSender(error, jwt, issuerName, issuer)
    }
  }
}

function parseAssertion(assertion: string): UnverifiedJwt {
  if (assertion.length > MAX_ASSERTION_LENGTH) {
    throw new Refusal('assertion_too_large', { length: assertion.length, limit: MAX_ASSERTION_LENGTH })
  }
  const jwt = parseCompact(assertion)
  if (!GRANT_TYPES.includes(normalizeType(jwt.header.typ))) {
    throw new Refusal('assertion_type_unexpected', {
      received: jwt.header.typ?.slice(0, 100),
      expected: GRANT_TYPES,
    })
  }
  return jwt
}

/** RFC 7523 §3, 1: `iss` is needed before anything can be looked up. */
function requireIssuerName(jwt: UnverifiedJwt): string {
  const { iss } = jwt.claims
  if (isCleanText(iss, MAX_ISSUER_LENGTH) && iss !== '') return iss
  throw new Refusal('claim_malformed', { claim: 'iss' })
}

/** RFC 9068 §5: an end user who is named like an account is looked for, in the same read. */
function findEmailSubject({ claims }: UnverifiedJwt): string | undefined {
  const { sub, iss } = claims
  return isCleanText(sub, MAX_ISSUER_LENGTH) && sub !== iss && sub.includes('@') ? sub : undefined
}

function requireActive(issuer: Issuer | undefined): Issuer {
  if (issuer === undefined) throw new Refusal('issuer_unknown')
  if (issuer.organizationStatus !== 'active') {
    throw new Refusal('organization_inactive', { status: issuer.organizationStatus })
  }
  if (issuer.accountStatus !== 'active')
    throw new Refusal('account_inactive', { status: issuer.accountStatus })
  return issuer
}

/** The operator's voice: every refusal says whose assertion it was, as far as that is known. */
function withSender(
  error: unknown,
  jwt: UnverifiedJwt,
  issuerName: string,
  issuer: Issuer | undefined,
): unknown {
  if (!(error instanceof Refusal)) return error
  const sender = {
    iss: issuerName,
    kid: jwt.header.kid,
    ...(issuer && {
      accountId: issuer.accountId,
      accountName: issuer.accountName,
      organizationId: issuer.organizationId,
    }),
  }
  return new Refusal(error.reason, { ...sender, ...error.detail }, error.told)
}
