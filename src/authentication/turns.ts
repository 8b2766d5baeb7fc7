import { Refusal } from '../errors.ts'

/** How much may be under way in this process, and how much may wait for it. */
export type TurnLimits = { maxConcurrent: number; maxWaiting: number }

/** Runs a task when it is its turn. Throws Refusal `too_many_requests` at once when too many wait. */
export type TakeTurn = <Result>(task: () => Promise<Result>) => Promise<Result>

/** A turn takes some hundredths of a second. */
const RETRY_AFTER_SECONDS = 2

/** Bounds how many tasks run at once; the others wait in the order in which they came. */
export function createTurns({ maxConcurrent, maxWaiting }: TurnLimits): TakeTurn {
  const waiting: (() => void)[] = []
  let running = 0

  return async (task) => {
    if (running < maxConcurrent) running++
    else await wait()
    try {
      return await task()
    } finally {
      // Handed on to the longest waiting, if anybody waits: `running` stays as it is then.
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }

  function wait(): Promise<void> {
    if (waiting.length >= maxWaiting) {
      const facts = { running, waiting: waiting.length }
      throw new Refusal('too_many_requests', facts, { retryAfterSeconds: RETRY_AFTER_SECONDS })
    }
    return new Promise((resolve) => waiting.push(resolve))
  }
}
