import { runWorker } from '../workers/worker.ts'

/** One of the processes of `serve --workers`. Throws OperatorError when a person runs it. */
export function work(): Promise<void> {
  return runWorker()
}
