import type { VerifiedClient } from '../assertion/client.ts'
import type { Issuer } from '../database/queries/issuers.ts'
import type { AccountJtiUse } from '../database/queries/used-jtis.ts'
import { type PublicHint, Refusal } from '../errors.ts'
import { type Form, findOne } from '../http/form.ts'
import type { RequestContext } from '../http/request-context.ts'
import type { ClientThrottle } from './client-throttle.ts'
import { type Credentials, findCredentials } from './credentials.ts'

/** How accounts may authenticate as clients, by the methods' names in the metadata (RFC 8414 §2). */
export const CLIENT_METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const
/** Methods of `token_endpoint_auth_methods_supported`. With `none` the assertion of the grant is the proof. */
export const TOKEN_ENDPOINT_METHODS = ['none', ...CLIENT_METHODS] as const

/** An account that has proven who it is, and how. */
export type AuthenticatedClient = {
  account: Issuer
  /** The key that it did so with: an API token, or the one that signed the assertion. */
  keyId: string
  /** The client assertion, whose `jti` is still to be claimed. */
  assertion: { jti: string /** NumericDate. */; expiresAt: number } | undefined
  /** How a refusal that concerns the authentication is told. */
  told: PublicHint
  /** What the client does that will not be accepted for ever. */
  deprecated: Deprecated | undefined
}

/** The token endpoint in `aud`, by the escape of an account's policy. */
export type Deprecated = 'client_assertion_audience'

/** An account and the key that it has proven to have. */
export type ProvenKey = Pick<AuthenticatedClient, 'account' | 'keyId'>

export type ClientAuthenticationServices = {
  /** Throws Refusal `credentials_invalid`. */
  verifyClientSecret: (clientId: string, secret: string) => Promise<ProvenKey>
  /** Throws Refusal with a reason of the assertion, told as one of the client's authentication. */
  verifyClientAssertion: (assertion: string) => Promise<VerifiedClient>
  /** The batched claim: once it answers true, it is on disk that this was the first use. */
  claimAccountJti: (use: AccountJtiUse) => Promise<boolean>
  clientThrottle: ClientThrottle
  /** The issuer identifier, the one audience that stays accepted. */
  issuer: string
}

/** The parts of a request that say who sends it. */
export type ClientRequest = { authorization: string | undefined; form: Form; ip: string }

/**
 * Client authentication of an account (RFC 6749 §2.3, RFC 7523 §2.2): undefined for a request without credentials.
 * Credentials that are presented must hold, whether they are needed or not (RFC 7523 §3.1). The `jti` of an
 * assertion has not been claimed yet: that is for `claimClientAssertion`, or for the grant record that bears it.
 * Throws Refusal, `credentials_…` mostly.
 */
export async function authenticateClient(
  { authorization, form, ip }: ClientRequest,
  services: ClientAuthenticationServices,
): Promise<AuthenticatedClient | undefined> {
  try {
    const credentials = findCredentials(authorization, form)
    if (credentials === undefined) return undefined
    const client = await verify(credentials, ip, services)
    assertSameClient(findOne(form, 'client_id'), client)
    return client
  } catch (error) {
    throw authorization === undefined ? error : withChallenge(error)
  }
}

/**
 * Uses the client's assertion up, if it has authenticated with one: it is good once (promise 2). Throws Refusal
 * `assertion_replayed`.
 */
export async function claimClientAssertion(
  { account, keyId, assertion, told }: AuthenticatedClient,
  { ip, userAgent }: Pick<RequestContext, 'ip' | 'userAgent'>,
  { claimAccountJti }: Pick<ClientAuthenticationServices, 'claimAccountJti'>,
): Promise<void> {
  if (assertion === undefined) return
  const { accountId, accountName, organizationId } = account
  const { jti, expiresAt } = assertion
  const isFirst = await claimAccountJti({
    accountId,
    keyId,
    jti,
    expiresAt: expiresAt * 1000,
    ip,
    userAgent,
  })
  if (!isFirst)
    throw new Refusal('assertion_replayed', { accountId, accountName, organizationId, keyId, jti }, told)
}

async function verify(
  credentials: Credentials,
  ip: string,
  services: ClientAuthenticationServices,
): Promise<AuthenticatedClient> {
  switch (credentials.method) {
    case 'client_secret_basic':
    case 'client_secret_post': {
      const { method, clientId, secret } = credentials
      const proven = await services.clientThrottle.guard({ ip, clientId }, () =>
        services.verifyClientSecret(clientId, secret),
      )
      const told: PublicHint = method === 'client_secret_basic' ? { scheme: 'basic' } : {}
      return { ...proven, assertion: undefined, told, deprecated: undefined }
    }
    case 'private_key_jwt':
      return clientOf(await services.verifyClientAssertion(credentials.assertion), services.issuer)
    case 'Bearer':
      throw new Refusal('credentials_invalid', { method: credentials.method })
  }
}

/** The client that an assertion proves; `issuer` is ours. */
export function clientOf(
  { issuer: account, key, claims }: VerifiedClient,
  issuer: string,
): AuthenticatedClient {
  const { jti, expiresAt, audience } = claims
  return {
    account,
    keyId: key.id,
    assertion: { jti, expiresAt },
    told: { asClient: true },
    deprecated: audience === issuer ? undefined : 'client_assertion_audience',
  }
}

/** RFC 6749 §2.3.1, RFC 7521 §4.2: a `client_id` in the form must name the client that has authenticated. */
function assertSameClient(
  clientId: string | undefined,
  { account, assertion, told }: AuthenticatedClient,
): void {
  const { accountId, accountEmail, accountName, organizationId } = account
  if (clientId === undefined || clientId === accountId || clientId === accountEmail) return
  const detail = { accountId, accountName, organizationId, received: clientId.slice(0, 320) }
  if (assertion !== undefined) throw new Refusal('client_mismatch', detail, told)
  throw new Refusal('request_malformed', detail, { hint: 'client_id is not the client that authenticated.' })
}

/** RFC 6749 §5.2: whose credentials fail in the header is told how to send them there. */
function withChallenge(error: unknown): unknown {
  if (!(error instanceof Refusal) || !FAILURES.includes(error.reason)) return error
  return new Refusal(error.reason, error.detail, { ...error.told, scheme: 'basic' })
}

const FAILURES: readonly Refusal['reason'][] = ['credentials_invalid', 'credentials_malformed']
