import { codeOf, messageOf } from '../errors.ts'

/**
 * SQLSTATE classes and codes that mean «not now» rather than «not like this». 28, 3D000 and 55000 come when a
 * connection is made: the password was changed, the database is being restored or moved. 25P03 ends a change in
 * which this node stood still.
 */
const UNAVAILABLE_STATES = /^(08|28|3D000|53|55000|57P0|57014|25006|25P03|55P03|40)/
/** How Node's sockets say that nobody, or nobody any more, is at the other end. */
const UNAVAILABLE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])
/** pg's own errors bear no code. */
const UNAVAILABLE_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Cannot use a pool after calling end|Client was closed)/

/**
 * Whether a database error says that the database cannot be reached or cannot answer now, as opposed to a
 * statement that is wrong. Such an error is answered 503: never a 500, and never «inactive».
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isDatabaseUnavailable)
  if (isPartitionMissing(error)) return true
  const code = codeOf(error) ?? ''
  return (
    UNAVAILABLE_CODES.has(code) ||
    UNAVAILABLE_STATES.test(code) ||
    UNAVAILABLE_MESSAGES.test(messageOf(error))
  )
}

/**
 * SQLSTATE `check_violation` of no constraint: the partition that a record belongs in was not made yet, because
 * maintenance fails or a clock is far ahead. That is for the operator to mend.
 */
function isPartitionMissing(error: unknown): boolean {
  return codeOf(error) === '23514' && (error as { constraint?: string }).constraint === undefined
}
