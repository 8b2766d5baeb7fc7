import type { Reason } from '../errors.ts'
import { INTERNAL_ERROR, type ProblemType } from '../http/problem.ts'
import { problem, toRequestProblem } from '../http/request-problems.ts'

/**
 * What a caller of the management API is told for each reason (RFC 9457). The code is the reason; titles and
 * details are fixed texts of ours.
 */
export function toProblemType(reason: Reason): ProblemType {
  switch (reason) {
    case 'request_malformed':
    case 'parameter_missing':
    case 'parameter_repeated':
    case 'media_type_unsupported':
    case 'body_too_large':
    case 'method_not_allowed':
    case 'not_found':
    case 'too_many_requests':
    case 'database_unavailable':
    case 'input_invalid':
      return toRequestProblem(reason)
    case 'credentials_missing':
      return problem(
        reason,
        401,
        'An access token is required',
        'Send Authorization: Bearer and an access token.',
      )
    case 'credentials_malformed':
      return problem(
        reason,
        400,
        'The Authorization header cannot be read',
        'Send Bearer, one space and one access token.',
      )
    case 'credentials_ambiguous':
      return problem(
        reason,
        400,
        'Credentials are given more than once',
        'Send the access token in the Authorization header alone.',
      )
    case 'credentials_invalid':
    case 'token_invalid':
      return problem(
        'token_invalid',
        401,
        'The access token does not hold here',
        'Get a new one at the token endpoint, for the management API.',
      )
    case 'proof_required':
      return proofProblem('Send a DPoP header with a proof for this request.')
    case 'proof_malformed':
      return proofProblem('The DPoP header is not a single proof of acceptable form and size.')
    case 'proof_key_unusable':
      return proofProblem('Its jwk is not a public key that fits its alg.')
    case 'proof_signature_invalid':
      return proofProblem('Its signature does not hold under its jwk.')
    case 'proof_mismatch':
      return proofProblem('It was made for another request: htm, htu or ath differ.')
    case 'proof_not_fresh':
      return proofProblem('It is not of now. Check the clock of the sender.')
    case 'proof_replayed':
      return proofProblem('It was used before. Make a new one for every request.')
    case 'proof_nonce_required':
      return problem(
        reason,
        401,
        'The DPoP proof needs a nonce',
        'Make a new proof with the nonce in DPoP-Nonce.',
      )
    case 'certificate_malformed':
      return problem(
        reason,
        400,
        'The client certificate cannot be read',
        'The proxy that passes it on is not set up as it should be.',
      )
    case 'permission_missing':
      return problem(
        reason,
        403,
        'A permission is missing',
        'Use a token with the permission that this call needs.',
      )
    case 'permission_not_held':
      return problem(
        reason,
        403,
        'You can give only what you have',
        'Leave out what you do not have yourself.',
      )
    case 'private_key_given':
      return problem(reason, 422, 'A private key was sent', 'Send only the public half.')
    case 'resource_not_found':
      return problem(reason, 404, 'Not found', 'There is nothing with that id.')
    case 'slug_taken':
      return problem(reason, 409, 'The slug is taken', 'Choose another slug.')
    case 'identifier_taken':
      return problem(reason, 409, 'The identifier is taken', 'Choose another identifier.')
    case 'name_taken':
      return problem(reason, 409, 'The name is taken', 'Choose another name.')
    case 'role_in_use':
      return problem(reason, 409, 'The role is in use', 'Take it from every account first.')
    case 'last_owner':
      return problem(reason, 409, 'The organization needs an owner', 'Make another account an owner first.')
    case 'key_material_taken':
      return problem(reason, 409, 'The key material is taken', 'Make a new pair.')
    case 'kid_taken':
      return problem(reason, 409, 'The kid is taken', 'Choose another kid.')
    case 'key_limit_reached':
      return problem(reason, 409, 'The account has as many keys as it may', 'Delete one first.')
    case 'key_generation_forbidden':
      return problem(
        reason,
        409,
        'The organization does not let keys be generated here',
        'Make the pair yourself and register its public half.',
      )
    case 'api_tokens_forbidden':
      return problem(reason, 409, 'The organization does not allow API tokens', 'Use a key pair instead.')
    case 'key_generation_busy':
      return problem(
        reason,
        429,
        'Too many keys are being generated',
        'Try again after the time in Retry-After.',
      )
    case 'key_already_revoked':
      return problem(reason, 409, 'The key is revoked', 'A revoked key stays so. Make a new one.')
    case 'email_taken':
      return problem(reason, 409, 'The address is taken', 'An account of the organization has it.')
    case 'administrator_disabled':
      return problem(reason, 409, 'The administrator is disabled', 'Enable the administrator first.')
    case 'identity_provider_missing':
      return problem(reason, 404, 'Not found', 'The organization has no identity provider.')
    case 'organization_not_empty':
      return problem(
        reason,
        409,
        'The organization has active accounts',
        'Repeat its slug to delete it with everything in it: ?confirm=SLUG.',
      )
    case 'built_in_protected':
      return problem(reason, 409, 'The installation needs this', 'It cannot be removed.')
    case 'signing_key_not_ready':
      return problem(
        reason,
        409,
        'A next key has not been published for long enough',
        'Try again after the time in Retry-After, or revoke the key that must go at once.',
      )
    // Only the console has forms.
    case 'form_token_invalid':
      return INTERNAL_ERROR
    // People prove who they are at the sign-in endpoints alone: met here, these are a bug.
    case 'email_unknown':
    case 'organization_ambiguous':
    case 'account_is_service_account':
    case 'account_not_active':
    case 'password_not_set':
    case 'password_wrong':
    case 'password_unconfirmed':
    case 'password_absent':
    case 'second_factor_required':
    case 'second_factor_wrong':
    case 'second_factor_used':
    case 'second_factor_on':
    case 'second_factor_off':
    case 'session_missing':
    case 'invitation_invalid':
    case 'openid_not_set':
    case 'openid_unavailable':
    case 'openid_request_unknown':
    case 'openid_failed':
    case 'openid_identity_refused':
      return INTERNAL_ERROR
    // A proxy asks about its client's token at its own endpoint: met here, these are a bug.
    case 'token_missing':
    case 'scope_insufficient':
      return INTERNAL_ERROR
    // Assertions, grants and revocations are judged at the OAuth endpoints alone: met here, they are a bug.
    case 'assertion_too_large':
    case 'assertion_malformed':
    case 'assertion_type_unexpected':
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
    case 'claim_malformed':
    case 'subject_not_allowed':
    case 'audience_mismatch':
    case 'assertion_expired':
    case 'assertion_not_yet_valid':
    case 'assertion_lifetime_too_long':
    case 'jti_required':
    case 'assertion_replayed':
    case 'assertion_before_restoration':
    case 'client_mismatch':
    case 'binding_ambiguous':
    case 'binding_unsupported':
    case 'origin_not_allowed':
    case 'grant_type_unsupported':
    case 'token_limit_reached':
    case 'scope_malformed':
    case 'scope_not_granted':
    case 'target_malformed':
    case 'target_not_allowed':
    case 'target_ambiguous':
    case 'token_not_own':
    case 'token_type_unsupported':
      return INTERNAL_ERROR
  }
}

function proofProblem(detail: string): ProblemType {
  return problem('proof_invalid', 401, 'The DPoP proof does not hold', detail)
}
