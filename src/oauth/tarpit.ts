import type { ErrorRequestHandler, Response } from 'express'
import { Refusal } from '../errors.ts'
import { contextOf } from '../http/request-context.ts'
import { networkOf } from '../network.ts'
import { createFailureCounter } from './failure-counter.ts'

export type TarpitLimits = {
  /** Refusals that a network hears at once in a window; more than any client has by mistake. */
  free: number
  windowSeconds: number
  /** How late those beyond are answered. */
  delayMilliseconds: number
  /** Answers that are held back at a time. Those beyond are given at once, and end their connection. */
  maxHeld: number
}

const LIMITS: TarpitLimits = { free: 200, windowSeconds: 10, delayMilliseconds: 1_000, maxHeld: 1_000 }

/**
 * Answers a network late whose requests are refused by the hundred, so that a flood of garbage is no faster than the
 * connections it holds allow, and an honest client does not wait behind it. Requests that hold are never slowed
 * down, whoever shares their address; so nobody can shut another out.
 */
export function createTarpit(limits: TarpitLimits = LIMITS): ErrorRequestHandler {
  const refusals = createFailureCounter(limits.free, limits.windowSeconds)
  let held = 0
  return async (error: unknown, _req, res, next) => {
    if (!isTheirFault(error) || !(await isFlood(res))) return next(error)
    if (held >= limits.maxHeld) {
      res.setHeader('Connection', 'close')
      return next(error)
    }
    held++
    await pause(res, limits.delayMilliseconds)
    held--
    next(error)
  }

  async function isFlood(res: Response): Promise<boolean> {
    return (await refusals.count(networkOf(contextOf(res).ip))) !== undefined
  }
}

/** What the server cannot do at the moment is not held against anybody. */
function isTheirFault(error: unknown): boolean {
  return error instanceof Refusal && error.reason !== 'database_unavailable'
}

/** Ends early for a caller that goes away. */
function pause(res: Response, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    res.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
