import type { Reason, Refusal } from '../errors.ts'

/** What somebody at the console is told: what happened, what it means, what to do. */
export type Explanation = { status: number; title: string; text: string }

/** A bug of ours: the person can only quote the request id. */
export const BUG: Explanation = {
  status: 500,
  title: 'Something here is broken',
  text: 'Nothing was changed by this request. The server’s log has the reason under the request id below.',
}

/** Reasons whose own sentence says more than a fixed one: it names what to mend, in words of ours. */
const SPECIFIC: readonly Reason[] = [
  'permission_not_held',
  'slug_taken',
  'identifier_taken',
  'name_taken',
  'role_in_use',
  'last_owner',
  'key_limit_reached',
  'built_in_protected',
  'private_key_given',
]

/** What a refusal means to a person. */
export function explain(refusal: Refusal): Explanation {
  const explanation = explainReason(refusal.reason)
  const { hint, retryAfterSeconds } = refusal.told
  if (hint !== undefined && SPECIFIC.includes(refusal.reason)) return { ...explanation, text: hint }
  if (retryAfterSeconds === undefined) return explanation
  return { ...explanation, text: `${explanation.text} Try again in ${inWords(retryAfterSeconds)}.` }
}

/** Exhaustive: the compiler insists that no reason is forgotten. */
function explainReason(reason: Reason): Explanation {
  switch (reason) {
    case 'request_malformed':
    case 'parameter_missing':
    case 'parameter_repeated':
    case 'media_type_unsupported':
      return told(
        400,
        'This request cannot be read',
        'The link or form is damaged. Go back and try once more.',
      )
    case 'body_too_large':
      return told(413, 'This is too much at once', 'A form can hold 128 KiB.')
    case 'method_not_allowed':
      return told(405, 'This page takes no such request', 'Open it anew and send the form from there.')
    case 'not_found':
      return told(404, 'There is no such page', 'The link may be old, or mistyped.')
    case 'resource_not_found':
    case 'identity_provider_missing':
      return told(
        404,
        'This is not here',
        'It was deleted, it never was, or it belongs to an organization that you do not see.',
      )
    case 'too_many_requests':
      return told(429, 'Too many attempts', 'Further ones are not looked at for now.')
    case 'database_unavailable':
      return told(
        503,
        'The database cannot be reached',
        'Nothing is lost. This page works again once it can.',
      )
    case 'form_token_invalid':
      return told(
        403,
        'This form is not of your present session',
        'You have signed in or out since it was opened, and nothing was changed. Open the page anew and send it from there.',
      )
    case 'origin_not_allowed':
      return told(
        403,
        'This form was sent from another address',
        'Nothing was changed. Open the console at the address that the server is configured for, and send the form from there.',
      )
    case 'permission_missing':
      return told(
        403,
        'You may not do this',
        'Your roles and permissions do not include it, and nothing was changed. An owner of your organization can give you what you need.',
      )
    case 'permission_not_held':
      return told(403, 'You can give only what you have', 'Leave out what you do not have yourself.')
    case 'input_invalid':
      return told(422, 'Something needs your attention', 'Mend what is marked below.')
    case 'private_key_given':
      return told(
        422,
        'This is a private key',
        'Only the public half belongs here. Treat the private half as seen by others.',
      )
    case 'slug_taken':
      return told(409, 'The short name is taken', 'Choose another one.')
    case 'identifier_taken':
      return told(409, 'The identifier is taken', 'Choose another one.')
    case 'name_taken':
      return told(409, 'The name is taken', 'Choose another one.')
    case 'email_taken':
      return told(409, 'The address is taken', 'Your organization has an account of it already.')
    case 'role_in_use':
      return told(409, 'The role is in use', 'Take it from every account first.')
    case 'last_owner':
      return told(
        409,
        'The organization would have no owner',
        'Nothing was changed. Make another account an owner first.',
      )
    case 'key_material_taken':
      return told(409, 'This key is registered already', 'No two keys share key material. Make a new pair.')
    case 'kid_taken':
      return told(409, 'This key id is taken', 'Choose another one.')
    case 'key_limit_reached':
      return told(409, 'The account has as many keys as it may', 'Delete one first.')
    case 'key_generation_forbidden':
      return told(
        409,
        'Keys are not generated on this server',
        'Your organization has it so. Make the pair yourself and register its public half.',
      )
    case 'api_tokens_forbidden':
      return told(409, 'API tokens are not allowed', 'Your organization has it so. Use a key pair.')
    case 'key_generation_busy':
      return told(429, 'Other keys are being made', 'Each takes the server some time.')
    case 'key_already_revoked':
      return told(409, 'The key was deleted', 'A deleted key stays so. Make a new one.')
    case 'administrator_disabled':
      return told(409, 'The administrator is disabled', 'Enable them first.')
    case 'organization_not_empty':
      return told(409, 'The organization has active accounts', 'Type its short name to delete it with them.')
    case 'built_in_protected':
      return told(409, 'The installation needs this', 'It cannot be removed.')
    case 'signing_key_not_ready':
      return told(
        409,
        'The next signing key is too new',
        'Resource servers have not had time to read it. Wait, or revoke the key that must go at once.',
      )
    // One text: whoever guesses learns nothing about which addresses exist and which accounts are active.
    case 'email_unknown':
    case 'organization_ambiguous':
    case 'account_is_service_account':
    case 'account_not_active':
    case 'password_not_set':
    case 'password_wrong':
      return told(
        401,
        'Address and password do not fit',
        'Check both, and name the organization if your address is in several. If you have lost the password, an owner can send you a new invitation.',
      )
    case 'password_unconfirmed':
      return told(403, 'The password is wrong', 'Type your present password.')
    case 'password_absent':
      return told(
        409,
        'You have no password here',
        'You sign in by your organization’s identity provider, which also looks after second factors.',
      )
    case 'second_factor_required':
      return told(401, 'The code is still missing', 'Type the code that your authenticator shows.')
    case 'second_factor_wrong':
    case 'second_factor_used':
      return told(
        401,
        'The code does not hold',
        'Wait for the next one, or use a recovery code. Each code works once.',
      )
    case 'second_factor_on':
      return told(409, 'There is a second factor already', 'Remove it first.')
    case 'second_factor_off':
      return told(409, 'There is no second factor', 'Set one up first.')
    case 'session_missing':
      return told(401, 'You are signed out', 'Sign in to go on.')
    case 'invitation_invalid':
      return told(
        410,
        'This link does not work any more',
        'It was used, replaced by a newer one, or is too old. An owner of your organization can send you a new invitation.',
      )
    case 'openid_not_set':
      return told(
        404,
        'No single sign-on for this organization',
        'Check the short name, or sign in with address and password.',
      )
    case 'openid_unavailable':
      return told(
        502,
        'The identity provider cannot be used',
        'It does not answer as it should. Try again, or tell an owner of your organization.',
      )
    case 'openid_request_unknown':
      return told(
        400,
        'This sign-in is not known',
        'It was begun in another browser, or too long ago. Begin again.',
      )
    case 'openid_failed':
      return told(401, 'The identity provider has not signed you in', 'Begin again.')
    case 'openid_identity_refused':
      return told(
        403,
        'Nobody here has your address',
        'An owner of your organization must invite you first, with the address that the identity provider vouches for.',
      )
    // Tokens, assertions and grants are judged at other doors: met here, they are a bug.
    case 'credentials_missing':
    case 'credentials_malformed':
    case 'credentials_invalid':
    case 'credentials_ambiguous':
    case 'token_invalid':
    case 'token_missing':
    case 'scope_insufficient':
    case 'token_not_own':
    case 'token_type_unsupported':
    case 'proof_malformed':
    case 'proof_key_unusable':
    case 'proof_signature_invalid':
    case 'proof_mismatch':
    case 'proof_not_fresh':
    case 'proof_nonce_required':
    case 'proof_replayed':
    case 'proof_required':
    case 'certificate_malformed':
    case 'binding_ambiguous':
    case 'binding_unsupported':
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
    case 'grant_type_unsupported':
    case 'token_limit_reached':
    case 'scope_malformed':
    case 'scope_not_granted':
    case 'target_malformed':
    case 'target_not_allowed':
    case 'target_ambiguous':
      return BUG
  }
}

function told(status: number, title: string, text: string): Explanation {
  return { status, title, text }
}

function inWords(seconds: number): string {
  if (seconds < 90) return seconds === 1 ? 'a second' : `${seconds} seconds`
  return `${Math.ceil(seconds / 60)} minutes`
}
