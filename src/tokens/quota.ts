import type { PublicHint, QuotaState } from '../errors.ts'

const MINUTE_MILLISECONDS = 60_000

/**
 * How an account stands to its limit of token requests: `used` counts this request too. Undefined for an
 * account without a limit. Pure; `now` in milliseconds.
 */
export function toQuotaState(limit: number | null, used: number | null, now: number): QuotaState | undefined {
  if (limit === null || used === null) return undefined
  const resetSeconds = Math.ceil((MINUTE_MILLISECONDS - (now % MINUTE_MILLISECONDS)) / 1000)
  return { limit, remaining: Math.max(limit - used, 0), resetSeconds }
}

/** What a caller is told who has used the limit up. */
export function toldOf(quota: QuotaState | undefined): PublicHint {
  return quota === undefined ? {} : { quota, retryAfterSeconds: quota.resetSeconds }
}
