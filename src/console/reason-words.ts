import type {
  AssertionReason,
  CredentialReason,
  GrantReason,
  PossessionReason,
  RevocationReason,
} from '../errors.ts'

/** Reasons for which the doors of integrations refuse a request. */
type TokenReason = AssertionReason | GrantReason | PossessionReason | RevocationReason | CredentialReason

/**
 * What a refusal of a token request means and what to do about it, for the people on our side: callers hear less. In the
 * order of `errors.ts`; the compiler insists that none is forgotten.
 */
const WORDS: Readonly<Record<TokenReason, string>> = {
  credentials_missing: 'The request bears no credentials, and this endpoint or grant needs them.',
  credentials_malformed: 'The Authorization header cannot be read. Send Basic credentials, percent-encoded.',
  credentials_invalid:
    'The client id or its API token is wrong, or the token has expired, is disabled or was deleted.',
  credentials_ambiguous: 'The request authenticates in more than one way. Use one.',
  token_missing: 'The request bears no access token.',
  token_invalid:
    'The access token is unknown, has expired or was revoked, or is for another resource server.',
  permission_missing: 'The account does not hold the permission that this call needs.',
  scope_insufficient: 'The token was asked for with a scope that leaves out what this call needs.',
  assertion_too_large: 'No assertion needs so much. Take out claims that nobody reads.',
  assertion_malformed:
    'This is not one compact JWT: three base64url parts with dots between, and nothing before or after.',
  assertion_type_unexpected:
    'The typ in its header names another kind of JWT. Access tokens and proofs are not assertions. Leave typ out, or write JWT.',
  issuer_unknown:
    'No service account of this organization has this id or address. Copy iss from the account’s page; deleted accounts are not found either.',
  organization_inactive: 'The organization is disabled. Nobody of it gets tokens until it is enabled.',
  account_inactive: 'The account is disabled. Enable it on its page.',
  key_unknown:
    'The account has no such key. Compare kid with the account’s keys. Without a kid, only active keys are tried, so there is none.',
  key_disabled: 'The key is disabled. Enable it on its page, or sign with another one.',
  key_revoked: 'The key was deleted, and stays so. Sign with another one.',
  key_expired: 'The key has expired. Move its expiry on its page, or sign with another one.',
  key_not_yet_valid: 'The key may not be used yet.',
  algorithm_mismatch: 'alg is not the algorithm of the key. A key has exactly one; sign with that.',
  signature_invalid:
    'No key that came into question made this signature. The private key is another one, or the assertion was changed after it was signed.',
  claim_malformed: 'A claim is missing or of the wrong type.',
  subject_not_allowed:
    'sub is neither the account itself nor somebody for whom it may act. Set sub to the account’s id, or add the end user to its delegation.',
  audience_mismatch:
    'aud must be exactly one of the values that are expected, byte for byte: no other one beside it, no slash more, no other host name.',
  assertion_expired:
    'exp lies in the past. Sign a new assertion for every request, and compare the clock of the sender with the server’s.',
  assertion_not_yet_valid: 'nbf or iat lies in the future: the clock of the sender runs ahead.',
  assertion_lifetime_too_long: 'exp is too far from iat. A minute is enough.',
  jti_required: 'Here an assertion must bear a jti: a new random one each time.',
  assertion_replayed: 'An assertion with this jti was used before. Sign a new one for every request.',
  assertion_before_restoration:
    'The server was restored from a backup a short while ago: only assertions that were signed since, and say so by iat, are taken.',
  client_mismatch: 'The client that authenticates, or client_id, is not the issuer of the assertion.',
  proof_malformed: 'The DPoP header is not one proof of acceptable form and size.',
  proof_key_unusable: 'The key in the DPoP proof is not a public key that fits its alg.',
  proof_signature_invalid: 'The signature of the DPoP proof does not hold under its key.',
  proof_mismatch: 'The DPoP proof was made for another request: method, address or token differ.',
  proof_not_fresh: 'The DPoP proof is not of now. Compare the clock of the sender with the server’s.',
  proof_nonce_required:
    'The DPoP proof must bear the nonce that the answer gave. Libraries try again by themselves.',
  proof_replayed: 'The DPoP proof was used before. Make a new one for every request.',
  proof_required:
    'The account’s policy wants a DPoP proof with every request. A request that bears one passes here.',
  certificate_malformed: 'The client certificate that the proxy passes on cannot be read.',
  binding_ambiguous: 'The request bears a DPoP proof and a client certificate. Use one.',
  binding_unsupported: 'The resource server takes no tokens that are bound to what the sender has proven.',
  origin_not_allowed:
    'The request came from a page in a browser. Keys of service accounts never belong there.',
  grant_type_unsupported: 'This server does not know the grant_type.',
  token_limit_reached:
    'The account has asked for as many tokens as it may in a minute. Keep a token until it expires.',
  scope_malformed: 'scope must be names separated by single spaces.',
  scope_not_granted:
    'The account does not have every permission that is asked for. Give it a role or a permission, or ask for less.',
  target_malformed: 'resource must be an absolute URI without a fragment.',
  target_not_allowed: 'resource names nothing on which the account has a permission.',
  target_ambiguous: 'The account has access to several resource servers that fit. Name one with resource.',
  token_not_own: 'The token belongs to another client, who alone may revoke it.',
  token_type_unsupported:
    'Tokens of this kind are not revoked here. Delete the API token on its account’s page.',
}

/** What a reason means; undefined for one that has nothing to do with tokens. */
export function describeReason(reason: string): string | undefined {
  return Object.hasOwn(WORDS, reason) ? WORDS[reason as TokenReason] : undefined
}
