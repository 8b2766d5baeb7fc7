/** What a turn was refused for: too many wait, or it took too long. */
export type Busy = 'server' | 'time'

/**
 * Runs a task when it is its turn. Throws at once when too many wait, and when `lapse` aborts before the task is done: one
 * that waits is forgotten then, one that runs goes on to its end for nobody.
 */
export type TakeTurn = <Result>(task: () => Promise<Result>, lapse?: AbortSignal) => Promise<Result>

/** One task at a time; the others wait in the order in which they came. `busy` makes what is thrown. */
export function createTurns(maxWaiting: number, busy: (limit: Busy, waiting: number) => Error): TakeTurn {
  const waiting: (() => void)[] = []
  let isTaken = false

  return async (task, lapse) => {
    if (isTaken) await wait(lapse)
    isTaken = true
    return unlessLate(task().finally(pass), lapse)
  }

  async function wait(lapse: AbortSignal | undefined): Promise<void> {
    if (waiting.length >= maxWaiting) throw busy('server', waiting.length)
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.push(resolve)
    try {
      await unlessLate(promise, lapse)
    } catch (error) {
      const place = waiting.indexOf(resolve)
      // The turn may have come in the same moment: then it is passed on.
      if (place === -1) pass()
      else waiting.splice(place, 1)
      throw error
    }
  }

  /** To the longest waiting, if anybody waits: nobody else can take it in between. */
  function pass(): void {
    const next = waiting.shift()
    if (next === undefined) isTaken = false
    else next()
  }

  async function unlessLate<Result>(task: Promise<Result>, lapse: AbortSignal | undefined): Promise<Result> {
    if (lapse === undefined) return task
    const { promise, reject } = Promise.withResolvers<never>()
    const giveUp = () => reject(busy('time', waiting.length))
    lapse.addEventListener('abort', giveUp)
    try {
      return await Promise.race([task, promise])
    } finally {
      // A listener would keep the result in memory until the time is over.
      lapse.removeEventListener('abort', giveUp)
    }
  }
}
