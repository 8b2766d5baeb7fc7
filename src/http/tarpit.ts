import type { Refusal } from '../errors.ts'
import { networkOf } from '../network.ts'
import { createFailureCounter } from './failure-counter.ts'
import { type Answer, contextOf, notedFacts } from './request-context.ts'

export type TarpitLimits = {
  /** Refusals that a network hears at once in a window; more than any client has by mistake. */
  free: number
  windowSeconds: number
  /** How late those beyond are answered at least; by chance up to half of it more. */
  delayMilliseconds: number
  /** Answers that are held back at a time. Those beyond are given at once, and end their connection. */
  maxHeld: number
}

const ASKING_TOO_MUCH: ReadonlySet<Refusal['reason']> = new Set(['too_many_requests', 'body_too_large'])
const LIMITS: TarpitLimits = { free: 200, windowSeconds: 10, delayMilliseconds: 1_000, maxHeld: 1_000 }

/** Waits with the answer to a refusal whose sender is to wait, or hears too many. To be called before it is written. */
export type Tarpit = (res: Answer, refusal: Refusal) => Promise<void>

/**
 * Answers a network late whose requests are refused by the hundred, so that a flood of garbage is no faster than the
 * connections it holds allow, and an honest client does not wait behind it. Who is refused for asking or sending too much hears
 * that late from the first time, from whatever network: a flood may come from thousands. Requests that hold are never slowed
 * down, whoever shares their address; so nobody can shut another out.
 */
export function createTarpit(limits: TarpitLimits = LIMITS): Tarpit {
  const refusals = createFailureCounter(limits.free, limits.windowSeconds)
  let held = 0
  return async (res, refusal) => {
    if (!isTheirFault(res, refusal) || !(await isFlood(res, refusal))) return
    if (held >= limits.maxHeld) {
      res.setHeader('Connection', 'close')
      return
    }
    held++
    await pause(res, spread(limits.delayMilliseconds))
    held--
  }

  async function isFlood(res: Answer, { reason }: Refusal): Promise<boolean> {
    const isBeyond = (await refusals.count(networkOf(contextOf(res).ip))) !== undefined
    return isBeyond || ASKING_TOO_MUCH.has(reason)
  }
}

/** Answered at one time, senders would all send again at one time, and whoever comes then would wait behind them. */
function spread(milliseconds: number): number {
  return milliseconds * (1 + Math.random() / 2)
}

/** What the server cannot do at the moment is not held against anybody, nor what somebody asks whom we know. */
function isTheirFault(res: Answer, refusal: Refusal): boolean {
  return refusal.reason !== 'database_unavailable' && notedFacts(res).accountId === undefined
}

/** Ends early for a caller that goes away. */
function pause(res: Answer, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    res.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
