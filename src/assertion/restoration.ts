import { Refusal } from '../errors.ts'
import { CLOCK_SKEW_SECONDS, type Claims, told } from './claims.ts'

/** The longest life that a policy allows an assertion (`max_lifetime_seconds`). */
const MAX_LIFETIME_SECONDS = 3600

/**
 * After the database was put back from a backup nobody knows which assertions were used since that was made. So those
 * that were signed before the restoration are refused, and those that do not say when, until none of them can be valid
 * any more (docs/decisions/0033-after-a-restoration.md). The sender's clock may run ahead.
 *
 * `restoredAt` in milliseconds, undefined where that never happened; `now` is a NumericDate. Pure. Throws Refusal
 * `assertion_before_restoration`.
 */
export function assertSignedSince({ iat }: Claims, restoredAt: number | undefined, now: number): void {
  if (restoredAt === undefined) return
  const since = restoredAt / 1000 + CLOCK_SKEW_SECONDS
  if (now > since + MAX_LIFETIME_SECONDS + CLOCK_SKEW_SECONDS) return
  if (typeof iat === 'number' && iat > since) return
  throw new Refusal(
    'assertion_before_restoration',
    { iat: iat ?? null, restoredAt: new Date(restoredAt).toISOString() },
    told(
      iat === undefined
        ? 'for the moment assertions need an iat'
        : 'sign a new assertion; the server was restored from a backup',
    ),
  )
}
