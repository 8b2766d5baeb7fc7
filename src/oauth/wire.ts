import type { ServerResponse } from 'node:http'
import type { DirectoryReason, PublicHint, QuotaState, Reason, Refusal, SignInReason } from '../errors.ts'

/** An error as OAuth clients know it (RFC 6749 §5.2, RFC 8707 §2, RFC 6750 §3.1). */
type WireError = { status: number; error: string; description: string }

/**
 * One text for everything that is decided before the signature holds, and for the state of account and key:
 * whoever has no key learns nothing about which accounts, keys and states exist (conformance 6749-5.2-7).
 */
const NOT_ACCEPTED: WireError = {
  status: 400,
  error: 'invalid_grant',
  description:
    'The assertion was not accepted: issuer, key or signature. The log of the server names the reason under the id in X-Request-Id.',
}

/** Whatever is wrong with a Bearer token that should authorize a call, body and challenge say it alike (RFC 7662 §2.3). */
const BAD_TOKEN: WireError = {
  status: 401,
  error: 'invalid_token',
  description: 'The access token does not authorize this request.',
}

/**
 * What the caller of an OAuth endpoint is told for each reason. Descriptions are fixed texts of ours within
 * the characters of RFC 6749 §5.2: no input is echoed, no message of a library passes.
 */
function toWireError(reason: Exclude<Reason, DirectoryReason | SignInReason>): WireError {
  switch (reason) {
    case 'request_malformed':
      return invalidRequest('The request is malformed.')
    case 'parameter_missing':
      return invalidRequest('A required parameter is missing.')
    case 'parameter_repeated':
      return invalidRequest('A parameter is given more than once.')
    case 'media_type_unsupported':
      return invalidRequest(
        'The body must be application/x-www-form-urlencoded in UTF-8, without a content encoding.',
      )
    case 'origin_not_allowed':
      return invalidRequest(
        'Requests from browsers are refused: a service account key never belongs in a browser.',
      )
    case 'method_not_allowed':
      return { ...invalidRequest('Use one of the methods in the Allow header.'), status: 405 }
    case 'not_found':
      return { ...invalidRequest('There is no such endpoint.'), status: 404 }
    case 'body_too_large':
      return { ...invalidRequest('The body is too large.'), status: 413 }
    case 'too_many_requests':
      return {
        status: 429,
        error: 'temporarily_unavailable',
        description: 'Too many requests. Retry after the time in Retry-After.',
      }
    case 'token_limit_reached':
      return {
        status: 429,
        error: 'temporarily_unavailable',
        description:
          'The account has asked for as many tokens as it may in a minute. Retry after the time in Retry-After.',
      }
    case 'database_unavailable':
      return {
        status: 503,
        error: 'temporarily_unavailable',
        description: 'The server cannot reach its database. Retry after the time in Retry-After.',
      }
    case 'credentials_missing':
      return invalidClient('Client authentication is required.')
    case 'credentials_malformed':
    case 'credentials_invalid':
      return invalidClient('Client authentication failed.')
    case 'credentials_ambiguous':
      return invalidRequest('Use one client authentication method only.')
    case 'token_missing':
      return { ...BAD_TOKEN, description: 'An access token is required.' }
    case 'token_invalid':
    case 'permission_missing':
      return BAD_TOKEN
    case 'scope_insufficient':
      return {
        status: 403,
        error: 'insufficient_scope',
        description: 'The access token does not have every permission that this request needs.',
      }
    case 'grant_type_unsupported':
      return {
        status: 400,
        error: 'unsupported_grant_type',
        description: 'This grant type is not supported.',
      }
    case 'assertion_malformed':
    case 'assertion_too_large':
      return invalidGrant('The assertion is not a single compact JWT of acceptable form and size.')
    case 'assertion_type_unexpected':
      return invalidGrant('The typ of the assertion names another kind of JWT.')
    case 'issuer_unknown':
    case 'organization_inactive':
    case 'account_inactive':
    case 'key_unknown':
    case 'key_disabled':
    case 'key_revoked':
    case 'key_expired':
    case 'key_not_yet_valid':
    case 'algorithm_mismatch':
    case 'signature_invalid':
      return NOT_ACCEPTED
    case 'claim_malformed':
      return invalidGrant('A claim of the assertion is missing or malformed.')
    case 'subject_not_allowed':
      return invalidGrant(
        'The sub of the assertion is neither the account itself nor somebody for whom it may act.',
      )
    case 'audience_mismatch':
      return invalidGrant(
        'The aud of the assertion must be exactly one value: the issuer identifier or the token endpoint.',
      )
    case 'assertion_expired':
      return invalidGrant('The assertion has expired. Check the clock of the sender.')
    case 'assertion_not_yet_valid':
      return invalidGrant(
        'The nbf or iat of the assertion lies in the future. Check the clock of the sender.',
      )
    case 'assertion_lifetime_too_long':
      return invalidGrant('The assertion lives too long.')
    case 'jti_required':
      return invalidGrant('The assertion must bear a jti.')
    case 'assertion_replayed':
      return invalidGrant('The jti of the assertion was used before. Sign a new assertion for every request.')
    case 'assertion_before_restoration':
      return invalidGrant(
        'The assertion is from before a restoration of the server. Sign a new one, with an iat.',
      )
    case 'client_mismatch':
      return invalidGrant('The client is not the issuer of the assertion.')
    case 'proof_malformed':
      return invalidProof('The DPoP header is not a single proof of acceptable form and size.')
    case 'proof_key_unusable':
      return invalidProof('The jwk of the DPoP proof is not a public key that fits its alg.')
    case 'proof_signature_invalid':
      return invalidProof('The signature of the DPoP proof does not hold under its jwk.')
    case 'proof_mismatch':
      return invalidProof('The DPoP proof was made for another request: htm, htu or ath differ.')
    case 'proof_not_fresh':
      return invalidProof('The DPoP proof is not of now. Check the clock of the sender.')
    case 'proof_replayed':
      return invalidProof('The DPoP proof was used before. Make a new one for every request.')
    case 'proof_required':
      return invalidProof('The account gets no token without a DPoP proof.')
    case 'proof_nonce_required':
      return {
        status: 400,
        error: 'use_dpop_nonce',
        description: 'Make a new DPoP proof with the nonce in DPoP-Nonce.',
      }
    case 'certificate_malformed':
      return invalidRequest('The client certificate that the proxy passes on cannot be read.')
    case 'binding_ambiguous':
      return invalidRequest('Use a DPoP proof or a client certificate, not both.')
    case 'binding_unsupported':
      return invalidRequest('The resource server takes no tokens that are bound by DPoP.')
    case 'scope_malformed':
      return { status: 400, error: 'invalid_scope', description: 'The scope is malformed.' }
    case 'scope_not_granted':
      return {
        status: 400,
        error: 'invalid_scope',
        description: 'The account does not have every permission that is asked for.',
      }
    case 'target_malformed':
      return invalidTarget('The resource must be an absolute URI without a fragment.')
    case 'target_not_allowed':
      return invalidTarget('The resource is not one that the account has access to.')
    case 'token_not_own':
      return invalidGrant('The token was issued to another client.')
    case 'token_type_unsupported':
      return {
        status: 400,
        error: 'unsupported_token_type',
        description: 'Tokens of this type cannot be revoked here.',
      }
    case 'target_ambiguous':
      return invalidTarget('Name one resource server with the resource parameter.')
  }
}

function toWireErrorOf({ reason, told }: Refusal): WireError {
  if (told.scheme === 'bearer') return BAD_TOKEN
  const wire = toWireError(reason as Exclude<Reason, DirectoryReason | SignInReason>)
  return told.asClient ? asClientError(wire, reason) : wire
}

/** RFC 7523 §3.2: the faults of a grant assertion are those of a client assertion, under another code. */
function asClientError(wire: WireError, reason: Reason): WireError {
  if (wire.error !== 'invalid_grant') return wire
  switch (reason) {
    case 'audience_mismatch':
      return invalidClient('The aud of a client assertion must be exactly one value: the issuer identifier.')
    case 'subject_not_allowed':
      return invalidClient('The sub of a client assertion must be its iss.')
    case 'client_mismatch':
      return invalidClient('The client_id is not the issuer of the client assertion.')
    default:
      return invalidClient(wire.description.replace('assertion', 'client assertion'))
  }
}

/** What the caller is told of a refusal, for who looks at both sides. */
export function tellOf(refusal: Refusal): WireError {
  const wire = toWireErrorOf(refusal)
  return { ...wire, description: refusal.told.hint ?? wire.description }
}

/** Writes the answer of a refusal: RFC 6749 §5.2, never cached, with the challenge where one is due. */
export function sendOAuthRefusal(res: ServerResponse, refusal: Refusal): void {
  const { scheme, hint, retryAfterSeconds, allowedMethods, quota, dpopNonce } = refusal.told
  const wire = toWireErrorOf(refusal)
  const challenge = toChallenge(wire, refusal)
  if (challenge !== undefined) res.setHeader('WWW-Authenticate', challenge)
  if (retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(retryAfterSeconds))
  if (quota !== undefined) showQuota(res, quota)
  if (dpopNonce !== undefined) giveNonce(res, dpopNonce)
  if (allowedMethods !== undefined) res.setHeader('Allow', allowedMethods.join(', '))
  const status = scheme === undefined || challenge === undefined ? wire.status : 401
  sendOAuthError(res, status, wire.error, hint ?? wire.description)
}

/** Writes an OAuth error envelope (RFC 6749 §5.2). */
export function sendOAuthError(
  res: ServerResponse,
  status: number,
  error: string,
  description: string,
): void {
  noStore(res)
  sendJson(res, status, { error, error_description: description })
}

/** Writes an answer in JSON: headers and text leave in one piece. */
export function sendJson(res: ServerResponse, status: number, body: object): void {
  res.statusCode = status
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.end(JSON.stringify(body))
}

/** RFC 6749 §5.1: both headers, for caches of every age. */
export function noStore(res: ServerResponse): void {
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('Pragma', 'no-cache')
}

/** The nonce for the sender's next DPoP proof (RFC 9449 §8). */
export function giveNonce(res: ServerResponse, nonce: string): void {
  res.setHeader('DPoP-Nonce', nonce)
}

/**
 * Says how the account stands to its limit (draft-ietf-httpapi-ratelimit-headers-10): so many requests (`q`) in a
 * window of so many seconds (`w`), so many left (`r`) until the window ends in so many seconds (`t`).
 */
export function showQuota(res: ServerResponse, { limit, remaining, resetSeconds }: QuotaState): void {
  res.setHeader('RateLimit-Policy', `"token-requests";q=${limit};w=60`)
  res.setHeader('RateLimit', `"token-requests";r=${remaining};t=${resetSeconds}`)
}

/**
 * RFC 6749 §5.2 asks for a 401 with a challenge when the credentials came in the header; without one the
 * status stays 400, which clients that hide the error behind a challenge can read (conformance D1).
 */
function toChallenge(wire: WireError, { reason, told }: Refusal): string | undefined {
  if (told.scheme === 'basic' && wire.error === 'invalid_client')
    return 'Basic realm="countersign", charset="UTF-8"'
  // RFC 6750 §3.1: who sent no token is told of no error.
  if (reason === 'token_missing') return toBearerChallenge(undefined, told)
  if (reason === 'scope_insufficient') return toBearerChallenge('insufficient_scope', told)
  return told.scheme === 'bearer' ? toBearerChallenge('invalid_token', told) : undefined
}

/** RFC 6750 §3. */
function toBearerChallenge(error: string | undefined, { neededPermissions }: PublicHint): string {
  const attributes = [
    'realm="countersign"',
    ...(error === undefined ? [] : [`error="${error}"`]),
    ...(neededPermissions === undefined ? [] : [`scope="${neededPermissions.join(' ')}"`]),
  ]
  return `Bearer ${attributes.join(', ')}`
}

function invalidRequest(description: string): WireError {
  return { status: 400, error: 'invalid_request', description }
}

function invalidClient(description: string): WireError {
  return { status: 400, error: 'invalid_client', description }
}

function invalidGrant(description: string): WireError {
  return { status: 400, error: 'invalid_grant', description }
}

function invalidProof(description: string): WireError {
  return { status: 400, error: 'invalid_dpop_proof', description }
}

function invalidTarget(description: string): WireError {
  return { status: 400, error: 'invalid_target', description }
}
