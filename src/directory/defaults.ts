import type { AssertionPolicy, OrganizationSettings } from '../database/tables.ts'

/** Settings of an organization that was created without any. */
export const DEFAULT_SETTINGS: OrganizationSettings = {
  requireJti: false,
  maxKeyLifetimeDays: null,
  allowGeneratedKeys: true,
  allowApiTokens: true,
  maxKeysPerAccount: 10,
  tokenRequestsPerMinute: null,
}

/** How assertions of a new account are judged: RFC 7523 to the letter, an hour at most (conformance D3). */
export const DEFAULT_ASSERTION_POLICY: AssertionPolicy = {
  profile: 'rfc7523',
  requireJti: false,
  maxLifetimeSeconds: 3600,
  extraAudiences: [],
  clientAssertionAudience: 'issuer',
  requireDpop: false,
}

/** Tokens of a new resource server, and of the management API. */
export const DEFAULT_TOKENS = {
  tokenFormat: 'jwt',
  signingAlgorithm: 'ES256',
  introspectionSigningAlgorithm: 'RS256',
  tokenLifetimeSeconds: 900,
  senderConstraints: ['dpop', 'mtls'],
} as const
