import { setTimeout as sleep } from 'node:timers/promises'

/** Longer than anything takes on a busy machine, shorter than a test may. */
const PATIENCE_MILLISECONDS = 20_000

/** Runs the check until it passes, and answers what it answers; throws its last error when it never does. */
export async function eventually<Result>(check: () => Result | Promise<Result>): Promise<Result> {
  const giveUpAt = performance.now() + PATIENCE_MILLISECONDS
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > giveUpAt) throw error
      await sleep(20)
    }
  }
}
