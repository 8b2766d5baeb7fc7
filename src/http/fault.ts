import { isDatabaseUnavailable } from '../database/unavailable.ts'
import { Refusal } from '../errors.ts'

/** Seconds after which a caller may try again when the database cannot be reached. */
const DATABASE_RETRY_SECONDS = 2

/**
 * Turns whatever was thrown into a Refusal where it is one in disguise: a database out of reach, a body that
 * Express' readers refuse. Undefined means a bug: 500, logged with its stack.
 */
export function toRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (isDatabaseUnavailable(error)) {
    const { message, code } = error as Error & { code?: string }
    return new Refusal(
      'database_unavailable',
      { message, code },
      { retryAfterSeconds: DATABASE_RETRY_SECONDS },
    )
  }
  return toBodyRefusal(error)
}

/** What `http-errors` of Express' body readers mean; `type` is documented by body-parser. */
function toBodyRefusal(error: unknown): Refusal | undefined {
  if (typeof error !== 'object' || error === null || !('type' in error)) return undefined
  switch (error.type) {
    case 'entity.too.large':
      return new Refusal('body_too_large')
    case 'encoding.unsupported':
      return new Refusal(
        'media_type_unsupported',
        { fact: 'content encoding' },
        { hint: 'Send the body without a content encoding.' },
      )
    case 'charset.unsupported':
      return new Refusal('media_type_unsupported', { fact: 'charset' }, { hint: 'Send UTF-8.' })
    case 'entity.parse.failed':
    case 'request.size.invalid':
    case 'request.aborted':
    case 'entity.verify.failed':
      return new Refusal('request_malformed', { type: error.type })
    default:
      return undefined
  }
}
