import type { Reason, RequestReason, SignInReason } from '../errors.ts'
import { INTERNAL_ERROR, type ProblemType } from '../http/problem.ts'
import { problem, toRequestProblem } from '../http/request-problems.ts'

/** What can be met here; everything else is a bug. Only the console has forms. */
type FrontDoorReason =
  | RequestReason
  | Exclude<SignInReason, 'form_token_invalid'>
  | 'input_invalid'
  | 'origin_not_allowed'

/**
 * One text for every reason why address and password do not let somebody in: whoever guesses learns nothing
 * about which addresses exist, in how many organizations, and which accounts are active.
 */
const REFUSED: ProblemType = {
  code: 'sign_in_refused',
  status: 401,
  title: 'Address and password do not fit',
  detail:
    'Check both, and name your organization if you belong to several. Its owner can send you a new invitation.',
}

/** What somebody who signs in is told for each reason (RFC 9457). */
export function toProblemType(reason: Reason): ProblemType {
  return describe(reason as FrontDoorReason) ?? INTERNAL_ERROR
}

function describe(reason: FrontDoorReason): ProblemType {
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
    case 'origin_not_allowed':
      return problem(reason, 403, 'The request comes from elsewhere', 'Send it from a page of this server.')
    case 'email_unknown':
    case 'organization_ambiguous':
    case 'account_is_service_account':
    case 'account_not_active':
    case 'password_not_set':
    case 'password_wrong':
      return REFUSED
    case 'password_unconfirmed':
      return problem(reason, 403, 'The password is wrong', 'Type your present password once more.')
    case 'password_absent':
      return problem(
        reason,
        409,
        'There is no password',
        'You sign in by your organization’s identity provider.',
      )
    case 'second_factor_required':
      return problem(reason, 401, 'The second factor is missing', 'Send the code of your authenticator.')
    case 'second_factor_wrong':
    case 'second_factor_used':
      return problem(
        'second_factor_refused',
        401,
        'The code does not hold',
        'Wait for the next code of your authenticator, or use a recovery code. Each code works once.',
      )
    case 'second_factor_on':
      return problem(reason, 409, 'There is a second factor already', 'Remove it first.')
    case 'second_factor_off':
      return problem(reason, 409, 'There is no second factor', 'Set one up first.')
    case 'session_missing':
      return problem(reason, 401, 'Nobody is signed in', 'Sign in.')
    case 'invitation_invalid':
      return problem(
        reason,
        410,
        'The invitation does not hold',
        'It was used, replaced or is too old. An owner of your organization can send you a new one.',
      )
    case 'openid_not_set':
      return problem(reason, 404, 'There is no identity provider', 'Sign in by address and password.')
    case 'openid_unavailable':
      return problem(
        reason,
        502,
        'The identity provider cannot be used',
        'Try again, or tell an owner of your organization.',
      )
    case 'openid_request_unknown':
      return problem(
        reason,
        400,
        'The sign-in is not known',
        'It was begun in another browser or too long ago. Begin it again.',
      )
    case 'openid_failed':
      return problem(reason, 401, 'The identity provider has not signed you in', 'Begin it again.')
    case 'openid_identity_refused':
      return problem(
        reason,
        403,
        'You are nobody here',
        'An owner of your organization must invite you first, with the address that the identity provider vouches for.',
      )
  }
}
