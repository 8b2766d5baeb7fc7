import type { Issuer, IssuerLookup } from '../database/queries/issuers.ts'
import { isCleanText, type UnverifiedJwt } from '../jwt/compact.ts'
import { describeAccount, requireActiveAccount } from './account.ts'
import type { ExplainableKind } from './explain.ts'
import { checkGrantClaims, type GrantClaims, listGrantChecks } from './grant-claims.ts'
import { MAX_ISSUER_LENGTH, type Verified, type VerifyAssertion } from './verify.ts'

/** RFC 8725 §3.11; the WIMSE drafts name the last, most clients send the second or nothing. */
const TYPES = [undefined, 'jwt', 'authorization-grant+jwt']

/** The assertion of an authorization grant that holds. */
export type VerifiedGrant = Verified<Issuer, GrantClaims>

export type GrantVerifierOptions = {
  verifyAssertion: VerifyAssertion
  /** The batched look-up of accounts, their keys and permissions. */
  findIssuer: (lookup: IssuerLookup) => Promise<Issuer | undefined>
  /** The values that name this server in `aud`: configured strings, compared byte for byte. */
  audiences: { issuer: string; tokenEndpoint: string }
}

/**
 * Builds the verifier of authorization grants (RFC 7523 §2.1, §3). The `jti` is claimed by the insert of the grant
 * record. Throws Refusal with one of the assertion's reasons.
 */
export function createGrantVerifier({ verifyAssertion, ...options }: GrantVerifierOptions) {
  const kind = createGrantKind(options)
  return (assertion: string): Promise<VerifiedGrant> => verifyAssertion(assertion, kind)
}

/** What an authorization grant must be. */
export function createGrantKind({
  findIssuer,
  audiences,
}: Omit<GrantVerifierOptions, 'verifyAssertion'>): ExplainableKind<GrantClaims> {
  return {
    types: TYPES,
    findIssuer: (jwt, issuer, now) =>
      findIssuer({ issuer, kid: jwt.header.kid, subject: findEmailSubject(jwt), now }),
    requireActive: requireActiveAccount,
    checkClaims: ({ claims }, { issuer, key }, now) =>
      checkGrantClaims(claims, { issuer, key, audiences, now }),
    listClaimChecks: ({ claims }, signed, now) =>
      listGrantChecks(claims, signed && { ...signed, audiences, now }, now),
    describe: describeAccount,
  }
}

/** RFC 9068 §5: an end user who is named like an account is looked for, in the same read. */
function findEmailSubject({ claims }: UnverifiedJwt): string | undefined {
  const { sub, iss } = claims
  return isCleanText(sub, MAX_ISSUER_LENGTH) && sub !== iss && sub.includes('@') ? sub : undefined
}
