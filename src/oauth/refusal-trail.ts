import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { Clock } from '../clock.ts'
import type { Db } from '../database/connect.ts'
import { recordRefusedToken } from '../directory/refused-tokens.ts'
import type { Refusal } from '../errors.ts'
import type { RequestContext } from '../http/request-context.ts'

/** Refusals that the audit trail keeps per account and minute; all of them are in log and metric. */
const STORED_PER_MINUTE = 10

export type RefusalTrail = {
  /** Writes down a refused token request whose account is known. Returns at once: the answer does not wait. */
  note(refusal: Refusal, request: RequestContext): void
}

/**
 * Builds the trail of refused assertions (promise 5). Anybody who knows an account id can cause them, so they
 * are bounded; and they are written after the answer, so that its time does not tell whether an account exists.
 */
export function createRefusalTrail(options: {
  db: Db
  clock: Clock
  onFailure: (error: unknown) => void
}): RefusalTrail {
  const limiter = new RateLimiterMemory({ points: STORED_PER_MINUTE, duration: 60 })
  return {
    note(refusal, request) {
      const { accountId, accountName, organizationId } = refusal.detail
      if (
        typeof accountId !== 'string' ||
        typeof accountName !== 'string' ||
        typeof organizationId !== 'string'
      )
        return
      const account = { accountId, accountName, organizationId }
      limiter.consume(accountId).then(
        () =>
          recordRefusedToken(options.db, options.clock.now(), {
            ...account,
            reason: refusal.reason,
            request,
          }).catch(options.onFailure),
        () => undefined,
      )
    },
  }
}
