import * as openid from 'openid-client'
import type { IdentityProviderRow } from '../database/tables.ts'
import { clientSecretId } from '../directory/identity-providers.ts'
import { codeOf, messageOf, Refusal } from '../errors.ts'
import { type KeyEncryptionKeys, unwrap } from '../signing/envelope.ts'
import { fetchBounded } from './bounded-fetch.ts'
import type { AuthenticationServices } from './services.ts'

/** What is asked of the provider: who somebody is, and their address. */
const SCOPE = 'openid email'
/** A provider that is silent for longer is out of order. */
const TIMEOUT_SECONDS = 10
/** How long what a provider says of itself is kept; nothing about who may do what is. */
const METADATA_MILLISECONDS = 600_000
const MAX_PROVIDERS = 200

/** What must come back with the browser (RFC 6749 §10.12, RFC 7636, OpenID Connect Core §3.1.2.1). */
export type OpenidRequest = { state: string; nonce: string; codeVerifier: string }

/** Somebody as the provider knows them. */
export type OpenidPerson = { subject: string; email: string | undefined; emailVerified: boolean }

/** The authorization code flow with PKCE at an organization's identity provider. */
export type OpenidProviders = {
  /** Where the browser is to go. Throws Refusal `openid_unavailable`. */
  begin(provider: IdentityProviderRow, redirectUri: string): Promise<{ url: string; request: OpenidRequest }>
  /** Reads anew what the provider says of itself, to see that it is one. Throws Refusal `openid_unavailable`. */
  check(provider: IdentityProviderRow): Promise<void>
  /**
   * Exchanges the code that came back; `currentUrl` is the redirect URI with the query of the browser. State,
   * nonce, issuer, audience, times and signature are verified.
   * Throws Refusal `openid_unavailable` or `openid_failed`.
   */
  finish(provider: IdentityProviderRow, currentUrl: URL, request: OpenidRequest): Promise<OpenidPerson>
}

/** Builds the client side of OpenID sign-in; one for each process. */
export function createOpenidProviders(
  services: Pick<AuthenticationServices, 'clock' | 'keyEncryptionKeys'>,
): OpenidProviders {
  const known = new Map<
    string,
    { configuration: openid.Configuration; goodUntil: number; updatedAt: number }
  >()

  return {
    async begin(provider, redirectUri) {
      const configuration = await configure(provider)
      const request = {
        state: openid.randomState(),
        nonce: openid.randomNonce(),
        codeVerifier: openid.randomPKCECodeVerifier(),
      }
      const url = openid.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: SCOPE,
        state: request.state,
        nonce: request.nonce,
        code_challenge: await openid.calculatePKCECodeChallenge(request.codeVerifier),
        code_challenge_method: 'S256',
      })
      return { url: url.href, request }
    },
    async check(provider) {
      await discover(provider, services.keyEncryptionKeys)
    },
    async finish(provider, currentUrl, request) {
      const configuration = await configure(provider)
      try {
        return await exchange(configuration, currentUrl, request)
      } catch (error) {
        throw new Refusal('openid_failed', { issuer: provider.issuer, ...describe(error) })
      }
    },
  }

  async function configure(provider: IdentityProviderRow): Promise<openid.Configuration> {
    const { organizationId } = provider
    const now = services.clock.now()
    const updatedAt = provider.updatedAt.getTime()
    const found = known.get(organizationId)
    if (found !== undefined && found.updatedAt === updatedAt && found.goodUntil > now)
      return found.configuration
    const configuration = await discover(provider, services.keyEncryptionKeys)
    known.delete(organizationId)
    known.set(organizationId, { configuration, goodUntil: now + METADATA_MILLISECONDS, updatedAt })
    const [oldest] = known.keys()
    if (known.size > MAX_PROVIDERS && oldest !== undefined) known.delete(oldest)
    return configuration
  }
}

/** OpenID Connect Discovery. Redirects are not followed, and the issuer named must be the one that was asked. */
async function discover(
  { organizationId, issuer, clientId, wrappedClientSecret }: IdentityProviderRow,
  keyEncryptionKeys: KeyEncryptionKeys,
): Promise<openid.Configuration> {
  const secret =
    wrappedClientSecret && unwrap(wrappedClientSecret, keyEncryptionKeys, clientSecretId(organizationId))
  // Plain http is let in by the directory only for trying out, on this machine.
  const isPlain = new URL(issuer).protocol === 'http:'
  try {
    return await openid.discovery(
      new URL(issuer),
      clientId,
      undefined,
      secret === null ? openid.None() : openid.ClientSecretPost(secret.toString()),
      {
        timeout: TIMEOUT_SECONDS,
        [openid.customFetch]: fetchBounded,
        execute: [openid.enableNonRepudiationChecks, ...(isPlain ? [openid.allowInsecureRequests] : [])],
      },
    )
  } catch (error) {
    throw new Refusal('openid_unavailable', { issuer, ...describe(error) })
  }
}

async function exchange(
  configuration: openid.Configuration,
  currentUrl: URL,
  { state, nonce, codeVerifier }: OpenidRequest,
): Promise<OpenidPerson> {
  const tokens = await openid.authorizationCodeGrant(configuration, currentUrl, {
    expectedState: state,
    expectedNonce: nonce,
    pkceCodeVerifier: codeVerifier,
    idTokenExpected: true,
  })
  const claims = tokens.claims()
  if (claims === undefined) throw new Error('there is no ID token')
  const subject = claims.sub
  if (typeof claims.email === 'string') {
    return { subject, email: claims.email, emailVerified: claims.email_verified === true }
  }
  // OpenID Connect Core §5.4: with an access token, claims of the scope email are at the UserInfo endpoint.
  const userInfo = await openid.fetchUserInfo(configuration, tokens.access_token, subject)
  return { subject, email: userInfo.email, emailVerified: userInfo.email_verified === true }
}

/** What the operator needs to see what is wrong. Nothing of the exchange itself: codes and tokens are secrets. */
function describe(error: unknown): { message: string; code: string | undefined; cause: string | undefined } {
  const cause = Error.isError(error) && error.cause !== undefined ? messageOf(error.cause) : undefined
  return {
    message: messageOf(error),
    code: codeOf(error),
    cause: cause === '[object Object]' ? undefined : cause,
  }
}
