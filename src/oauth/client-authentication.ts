import { Refusal } from '../errors.ts'
import { type Form, findOne } from '../http/form.ts'
import type { AuthenticatedClient } from './client-secret.ts'
import type { ClientThrottle } from './client-throttle.ts'
import { type Credentials, findCredentials } from './credentials.ts'

/** Methods of `token_endpoint_auth_methods_supported`. With `none` the assertion of the grant is the proof. */
export const TOKEN_ENDPOINT_METHODS = ['none', 'client_secret_basic', 'client_secret_post'] as const

export type ClientAuthenticationServices = {
  /** Throws Refusal `credentials_invalid`. */
  verifyClientSecret: (clientId: string, secret: string) => Promise<AuthenticatedClient>
  clientThrottle: ClientThrottle
}

/** The parts of a token request that say who sends it. */
export type ClientRequest = { authorization: string | undefined; form: Form; ip: string }

/**
 * Client authentication at the token endpoint (RFC 6749 §2.3): undefined for a request without credentials, which
 * is for the grant to judge. Credentials that are presented must hold, whether the grant needs them or not
 * (RFC 7523 §3.1). Throws Refusal, `credentials_…` mostly.
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

function verify(
  credentials: Credentials,
  ip: string,
  { verifyClientSecret, clientThrottle }: ClientAuthenticationServices,
): Promise<AuthenticatedClient> {
  switch (credentials.method) {
    case 'client_secret_basic':
    case 'client_secret_post': {
      const { clientId, secret } = credentials
      return clientThrottle.guard({ ip, clientId }, () => verifyClientSecret(clientId, secret))
    }
    case 'private_key_jwt':
    case 'Bearer':
      throw new Refusal('credentials_invalid', { method: credentials.method })
  }
}

/** RFC 6749 §2.3.1: a `client_id` in the form must name the client that authenticated in the header. */
function assertSameClient(clientId: string | undefined, { account }: AuthenticatedClient): void {
  if (clientId === undefined || clientId === account.accountId || clientId === account.accountEmail) return
  throw new Refusal('request_malformed', {}, { hint: 'client_id is not the client that authenticated.' })
}

/** RFC 6749 §5.2: whose credentials fail in the header is told how to send them there. */
function withChallenge(error: unknown): unknown {
  if (!(error instanceof Refusal) || !FAILURES.includes(error.reason)) return error
  return new Refusal(error.reason, error.detail, { ...error.told, scheme: 'basic' })
}

const FAILURES: readonly Refusal['reason'][] = ['credentials_invalid', 'credentials_malformed']
