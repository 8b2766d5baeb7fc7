import { isDatabaseUnavailable } from '../database/unavailable.ts'
import { Refusal } from '../errors.ts'

/** Seconds after which a caller may try again when the database cannot be reached. */
const DATABASE_RETRY_SECONDS = 2

/**
 * Turns whatever was thrown into a Refusal where it is one in disguise: a database out of reach. Undefined means a
 * bug: 500, logged with its stack.
 */
export function toRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (!isDatabaseUnavailable(error)) return undefined
  const { message, code } = error as Error & { code?: string }
  return new Refusal('database_unavailable', { message, code }, { retryAfterSeconds: DATABASE_RETRY_SECONDS })
}
