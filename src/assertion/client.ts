import type { Issuer, IssuerLookup } from '../database/queries/issuers.ts'
import type { Caller, CallerLookup } from '../database/queries/resource-server-keys.ts'
import { Refusal } from '../errors.ts'
import { normalizeType, type UnverifiedJwt } from '../jwt/compact.ts'
import { describeAccount, requireActiveAccount } from './account.ts'
import {
  type ClientClaims,
  type ClientClaimsContext,
  checkClientClaims,
  listClientChecks,
} from './client-claims.ts'
import type { ExplainableKind } from './explain.ts'
import type { AssertionKind, Verified, VerifyAssertion } from './verify.ts'

/** draft-ietf-oauth-rfc7523bis: whoever types its assertions so is judged by the new rules alone. */
export const EXPLICIT_TYPE = 'client-authentication+jwt'
/** Rejecting the others is not recommended there: openid-client sends none, Authlib `JWT`. */
const TYPES = [undefined, 'jwt', EXPLICIT_TYPE]
/** Of a resource server's assertions; an account has its own limit (conformance D3). */
const MAX_LIFETIME_SECONDS = 3600

export type VerifiedClient = Verified<Issuer, ClientClaims>
export type VerifiedCaller = Verified<Caller, ClientClaims>

export type ClientVerifierOptions = {
  verifyAssertion: VerifyAssertion
  /** The batched look-up of accounts, their keys and permissions. */
  findIssuer: (lookup: IssuerLookup) => Promise<Issuer | undefined>
  /** The values that name this server in `aud`: configured strings, compared byte for byte. */
  audiences: { issuer: string; tokenEndpoint: string }
}

/**
 * Builds the verifier of the assertions by which accounts authenticate as clients (RFC 7523 §2.2, §3, and
 * draft-ietf-oauth-rfc7523bis). Whoever calls it must see to it that the `jti` is claimed.
 * Throws Refusal with one of the assertion's reasons, marked as one of client authentication.
 */
export function createClientVerifier({ verifyAssertion, ...options }: ClientVerifierOptions) {
  const kind = createClientKind(options)
  return (assertion: string): Promise<VerifiedClient> =>
    verifyAssertion(assertion, kind).catch(refuseAsClient)
}

/** What the client assertion of an account must be. */
export function createClientKind({
  findIssuer,
  audiences,
}: Omit<ClientVerifierOptions, 'verifyAssertion'>): ExplainableKind<ClientClaims> {
  const contextOf = (jwt: UnverifiedJwt, issuer: Issuer, now: number): ClientClaimsContext => ({
    names: [issuer.accountId, issuer.accountEmail],
    audiences: audiencesFor(issuer, jwt, audiences),
    maxLifetimeSeconds: issuer.assertionPolicy.maxLifetimeSeconds,
    now,
  })
  return {
    types: TYPES,
    findIssuer: (jwt, issuer, now) => findIssuer({ issuer, kid: jwt.header.kid, subject: undefined, now }),
    requireActive: requireActiveAccount,
    checkClaims: (jwt, { issuer }, now) => checkClientClaims(jwt.claims, contextOf(jwt, issuer, now)),
    listClaimChecks: (jwt, signed, now) =>
      listClientChecks(jwt.claims, signed && contextOf(jwt, signed.issuer, now), now),
    describe: describeAccount,
  }
}

export type CallerVerifierOptions = {
  verifyAssertion: VerifyAssertion
  /** The batched look-up of resource servers and their keys. */
  findCaller: (lookup: CallerLookup) => Promise<Caller | undefined>
  issuer: string
}

/** The same for the assertions by which resource servers authenticate; for them there is no escape in `aud`. */
export function createCallerVerifier({ verifyAssertion, findCaller, issuer }: CallerVerifierOptions) {
  const kind: AssertionKind<Caller, ClientClaims> = {
    types: TYPES,
    findIssuer: (jwt, resourceServerId, now) => findCaller({ resourceServerId, kid: jwt.header.kid, now }),
    requireActive(caller) {
      if (caller === undefined) throw new Refusal('issuer_unknown')
      return caller
    },
    checkClaims: ({ claims }, { issuer: caller }, now) =>
      checkClientClaims(claims, {
        names: [caller.resourceServerId],
        audiences: [issuer],
        maxLifetimeSeconds: MAX_LIFETIME_SECONDS,
        now,
      }),
    describe: ({ resourceServerId }) => ({ resourceServerId }),
  }
  return (assertion: string): Promise<VerifiedCaller> =>
    verifyAssertion(assertion, kind).catch(refuseAsClient)
}

/**
 * The issuer alone: any other URL of ours may stand in the metadata of a server that attacks its clients
 * (draft-ietf-oauth-rfc7523bis §1). An account can be given time to mend its clients, as long as these do not
 * know the explicit type, which came with the new rule.
 */
function audiencesFor(
  { assertionPolicy }: Issuer,
  { header }: UnverifiedJwt,
  { issuer, tokenEndpoint }: ClientVerifierOptions['audiences'],
): readonly string[] {
  const isLax = assertionPolicy.clientAssertionAudience === 'issuer_or_token_endpoint'
  return isLax && normalizeType(header.typ) !== EXPLICIT_TYPE ? [issuer, tokenEndpoint] : [issuer]
}

/** RFC 7523 §3.2: the same faults, under another code. */
function refuseAsClient(error: unknown): never {
  if (!(error instanceof Refusal)) throw error
  throw new Refusal(error.reason, error.detail, { ...error.told, asClient: true })
}
