/**
 * Why a request is refused. The union is closed: `oauth/wire.ts` and `management/problem.ts` map every
 * reason to what the caller is told, and the compiler insists that none is forgotten.
 */
export type Reason =
  | RequestReason
  | CredentialReason
  | AssertionReason
  | PossessionReason
  | GrantReason
  | RevocationReason
  | DirectoryReason
  | SignInReason

/** Any endpoint: the shape of the request, or the state of the server. */
export type RequestReason =
  | 'request_malformed'
  | 'parameter_missing'
  | 'parameter_repeated'
  | 'media_type_unsupported'
  | 'body_too_large'
  | 'method_not_allowed'
  | 'not_found'
  | 'too_many_requests'
  | 'database_unavailable'

/** Who is calling: an `Authorization` header or client credentials in the form. */
export type CredentialReason =
  | 'credentials_missing'
  | 'credentials_malformed'
  | 'credentials_invalid'
  | 'credentials_ambiguous'
  | 'token_missing'
  | 'token_invalid'
  | 'permission_missing'
  | 'scope_insufficient'

/** The assertion, in the order in which it is checked (RFC 7523 §3). */
export type AssertionReason =
  | 'assertion_too_large'
  | 'assertion_malformed'
  | 'assertion_type_unexpected'
  | 'issuer_unknown'
  | 'organization_inactive'
  | 'account_inactive'
  | 'key_unknown'
  | 'key_disabled'
  | 'key_revoked'
  | 'key_expired'
  | 'key_not_yet_valid'
  | 'algorithm_mismatch'
  | 'signature_invalid'
  | 'claim_malformed'
  | 'subject_not_allowed'
  | 'audience_mismatch'
  | 'assertion_expired'
  | 'assertion_not_yet_valid'
  | 'assertion_lifetime_too_long'
  | 'jti_required'
  | 'assertion_replayed'
  | 'assertion_before_restoration'
  | 'client_mismatch'

/** What the sender proves to hold: a DPoP proof in the order in which it is checked (RFC 9449 §4.3), or a certificate. */
export type PossessionReason =
  | 'proof_malformed'
  | 'proof_key_unusable'
  | 'proof_signature_invalid'
  | 'proof_mismatch'
  | 'proof_not_fresh'
  | 'proof_nonce_required'
  | 'proof_replayed'
  | 'proof_required'
  | 'certificate_malformed'
  | 'binding_ambiguous'
  | 'binding_unsupported'

/** What the grant may give. */
export type GrantReason =
  | 'origin_not_allowed'
  | 'grant_type_unsupported'
  | 'token_limit_reached'
  | 'scope_malformed'
  | 'scope_not_granted'
  | 'target_malformed'
  | 'target_not_allowed'
  | 'target_ambiguous'

/** Which token a client may revoke (RFC 7009 §2.1, §2.2.1). */
export type RevocationReason = 'token_not_own' | 'token_type_unsupported'

/** The rules of the directory, met only through the management API and the console. */
export type DirectoryReason =
  | 'input_invalid'
  | 'resource_not_found'
  | 'slug_taken'
  | 'identifier_taken'
  | 'name_taken'
  | 'role_in_use'
  | 'last_owner'
  | 'key_material_taken'
  | 'kid_taken'
  | 'key_limit_reached'
  | 'key_generation_forbidden'
  | 'api_tokens_forbidden'
  | 'key_generation_busy'
  | 'key_already_revoked'
  | 'private_key_given'
  | 'permission_not_held'
  | 'email_taken'
  | 'administrator_disabled'
  | 'identity_provider_missing'
  | 'organization_not_empty'
  | 'built_in_protected'
  | 'signing_key_not_ready'

/**
 * An administrator who proves who they are. The first six sound alike: whoever guesses learns nothing about which
 * addresses exist.
 */
export type SignInReason =
  | 'email_unknown'
  | 'organization_ambiguous'
  | 'account_is_service_account'
  | 'account_not_active'
  | 'password_not_set'
  | 'password_wrong'
  | 'password_unconfirmed'
  | 'password_absent'
  | 'second_factor_required'
  | 'second_factor_wrong'
  | 'second_factor_used'
  | 'second_factor_on'
  | 'second_factor_off'
  | 'session_missing'
  | 'invitation_invalid'
  | 'openid_not_set'
  | 'openid_unavailable'
  | 'openid_request_unknown'
  | 'openid_failed'
  | 'openid_identity_refused'
  | 'form_token_invalid'

/** A limit of so many requests in a minute of the clock, and what is left of it until the minute is over. */
export type QuotaState = { limit: number; remaining: number; resetSeconds: number }

/** One fault in a request body; `pointer` is a JSON Pointer (RFC 6901) into it. */
export type InputFault = { pointer: string; detail: string }

/** What the caller may be told besides the reason: our own words only, never an echo of the input. */
export type PublicHint = {
  /** A sentence that names what to fix. */
  hint?: string
  /** Faults in a request body (management API). */
  faults?: readonly InputFault[]
  /** Seconds after which another try makes sense (RFC 9110 §10.2.3). */
  retryAfterSeconds?: number
  /** How the account stands to its limit of token requests. */
  quota?: QuotaState
  /** The permissions that would have sufficed (RFC 6750 §3 `scope`). */
  neededPermissions?: readonly string[]
  /** How the caller tried to authenticate, which decides the challenge (RFC 6749 §5.2, RFC 7662 §2.3). */
  scheme?: 'basic' | 'bearer'
  /**
   * The assertion that is refused was to authenticate the client: the same reasons sound like `invalid_client`
   * (RFC 7523 §3.2).
   */
  asClient?: true
  /** The nonce that the next DPoP proof must bear (RFC 9449 §8). */
  dpopNonce?: string
  /** Methods that the path does serve (RFC 9110 §15.5.6 `Allow`). */
  allowedMethods?: readonly string[]
}

/** Facts for the operator: expected and received values, clock offsets, key states. Never a secret. */
export type PrivateDetail = Readonly<Record<string, unknown>>

/**
 * A refusal in two voices: `reason` and `told` shape what the caller hears, `detail` goes to log, metric
 * and audit under the same request id. Anything thrown that is not a Refusal is a bug and answers 500.
 */
export class Refusal extends Error {
  readonly reason: Reason
  readonly detail: PrivateDetail
  readonly told: PublicHint

  constructor(reason: Reason, detail: PrivateDetail = {}, told: PublicHint = {}) {
    super(reason)
    this.name = 'Refusal'
    this.reason = reason
    this.detail = detail
    this.told = told
  }
}

/**
 * A fault that the person at the command line must mend: bad configuration, a port in use, a key file that
 * is not one. The message is the one line they see, and says what to do; no stack is shown.
 */
export class OperatorError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'OperatorError'
  }
}

/**
 * The `code` of an error of Node.js (`ENOENT`), PostgreSQL (an SQLSTATE) or a library; undefined where there
 * is none. Looks at the shape, not at the class, which differs between realms.
 */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return Error.isError(error) ? error.message : String(error)
}
