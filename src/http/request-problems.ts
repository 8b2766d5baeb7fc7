import type { RequestReason } from '../errors.ts'
import type { ProblemType } from './problem.ts'

/**
 * What a caller of an endpoint that takes JSON is told when the request or the state of the server is at fault
 * (RFC 9457), wherever that endpoint is.
 */
export function toRequestProblem(reason: RequestReason | 'input_invalid'): ProblemType {
  switch (reason) {
    case 'request_malformed':
    case 'parameter_missing':
    case 'parameter_repeated':
      return problem(
        'request_malformed',
        400,
        'The request cannot be read',
        'Send a request as openapi.yaml describes it.',
      )
    case 'media_type_unsupported':
      return problem(
        reason,
        415,
        'The content type is not supported',
        'Send JSON in UTF-8 as application/json.',
      )
    case 'body_too_large':
      return problem(reason, 413, 'The body is too large', 'Send at most 64 KiB.')
    case 'method_not_allowed':
      return problem(reason, 405, 'The method is not allowed', 'Use one of the methods in the Allow header.')
    case 'not_found':
      return problem(reason, 404, 'There is nothing at this path', 'Look the path up in openapi.yaml.')
    case 'too_many_requests':
      return problem(reason, 429, 'Too many requests', 'Try again after the time in Retry-After.')
    case 'database_unavailable':
      return problem(reason, 503, 'Temporarily unavailable', 'Try again after the time in Retry-After.')
    case 'input_invalid':
      return problem(reason, 422, 'The input is not valid', 'Mend what errors points at.')
  }
}

/** A problem type of fixed texts. */
export function problem(code: string, status: number, title: string, detail: string): ProblemType {
  return { code, status, title, detail }
}
