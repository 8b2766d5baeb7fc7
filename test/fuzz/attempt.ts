import { Refusal } from '../../src/errors.ts'

/** What a function answers, or the Refusal that it throws. Any other error is a bug, and thrown on. */
export function attempt<Result>(run: () => Result): Result | Refusal {
  try {
    return run()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
