import type { Clock } from '../clock.ts'
import { createBatch } from '../database/batch.ts'
import type { Db } from '../database/connect.ts'
import type { Reason, Refusal } from '../errors.ts'
import type { RequestFacts } from './actor.ts'
import { type RefusedAccount, type RefusedAction, type RefusedRequest, recordRefusals } from './refusals.ts'

/** Refusals that the audit trail keeps one by one per account and minute; all of them are in log and metric. */
const STORED_PER_MINUTE = 10
const MINUTE_MILLISECONDS = 60_000
/** Accounts whose refusals are counted at a time. Beyond, they are in log and metric alone. */
const MAX_ACCOUNTS = 10_000
/** One transaction at a time: an attack on one endpoint must not take the connections of the others. */
const BATCH_LIMITS = { maxItems: 256, maxWaiting: 10_000 }

export type RefusalTrail = {
  /** Writes down a refused request whose account is known. Returns at once: the answer does not wait. */
  note(refusal: Refusal, request: RequestFacts): void
  /** Writes down what was only counted so far. To be called once, when no more requests come. */
  close(): Promise<void>
}

export type RefusalTrailOptions = {
  db: Db
  clock: Clock
  refused: RefusedAction
  onFailure: (error: unknown) => void
}

/** The minute of an account that begins with its first refusal. */
type Minute = {
  account: RefusedAccount
  /** Milliseconds. */
  endsAt: number
  stored: number
  /** How many were not stored, by reason. */
  counted: Map<Reason, number>
}

/** Of an event that stands for many requests. */
const MANY_REQUESTS = { requestId: null, ip: null, userAgent: null }

/**
 * Builds the trail of what is refused to known accounts (promise 5): assertions, sign-ins. Anybody who knows an
 * account id or an address can cause such refusals, so what is stored is bounded: the first of each minute one by
 * one, the others as one event per reason with their count when the minute is over. They are written after the
 * answer, so that its time does not tell whether an account exists.
 */
export function createRefusalTrail(options: RefusalTrailOptions): RefusalTrail {
  const { db, clock, refused, onFailure } = options
  const write = createBatch(async (refusals: readonly RefusedRequest[]) => {
    await recordRefusals(db, refused, refusals)
    return refusals.map(() => undefined)
  }, BATCH_LIMITS)
  /** By account id, in the order in which they end. */
  const minutes = new Map<string, Minute>()
  let timer: NodeJS.Timeout | undefined
  let latest: Promise<void> = Promise.resolve()

  return {
    note(refusal, request) {
      const account = accountOf(refusal)
      if (account === undefined) return
      const now = clock.now()
      void endMinutes(now)
      const minute = minutes.get(account.accountId) ?? beginMinute(account, now)
      if (minute === undefined) return
      const { reason } = refusal
      if (minute.stored++ < STORED_PER_MINUTE) void record({ at: now, account, reason, request })
      else minute.counted.set(reason, (minute.counted.get(reason) ?? 0) + 1)
    },
    async close() {
      clearTimeout(timer)
      await endMinutes(Number.POSITIVE_INFINITY)
      await latest
    },
  }

  function beginMinute(account: RefusedAccount, now: number): Minute | undefined {
    if (minutes.size >= MAX_ACCOUNTS) return undefined
    const minute = {
      account,
      endsAt: now + MINUTE_MILLISECONDS,
      stored: 0,
      counted: new Map<Reason, number>(),
    }
    minutes.set(account.accountId, minute)
    timer ??= setTimeout(onTimer, MINUTE_MILLISECONDS).unref()
    return minute
  }

  function onTimer(): void {
    void endMinutes(clock.now())
    timer = minutes.size === 0 ? undefined : setTimeout(onTimer, MINUTE_MILLISECONDS).unref()
  }

  async function endMinutes(now: number): Promise<void> {
    const written: Promise<void>[] = []
    for (const [accountId, minute] of minutes) {
      if (minute.endsAt > now) break
      minutes.delete(accountId)
      for (const [reason, count] of minute.counted) {
        written.push(
          record({ at: clock.now(), account: minute.account, reason, request: MANY_REQUESTS, count }),
        )
      }
    }
    await Promise.all(written)
  }

  function record(request: RefusedRequest): Promise<void> {
    latest = write(request).catch(onFailure)
    return latest
  }
}

/** The account that the refused request has named, where it is one of ours. */
function accountOf({ detail }: Refusal): RefusedAccount | undefined {
  const { accountId, accountName, accountKind, organizationId } = detail
  const isKnown =
    typeof accountId === 'string' && typeof accountName === 'string' && typeof organizationId === 'string'
  if (!isKnown) return undefined
  const kind = accountKind === 'administrator' ? 'administrator' : 'service_account'
  return { accountId, accountName, accountKind: kind, organizationId }
}
