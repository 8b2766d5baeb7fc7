import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** A thread takes some hundredths of a second to start, and some megabytes. */
const KEPT_MILLISECONDS = 10_000

/**
 * A thread for long computations that others shall not wait behind. It is started when there is a task, kept a while for the
 * next, and does one at a time, which is for the caller to see to. Waiting for an answer keeps the process alive; the thread
 * alone does not. Throws what the task throws.
 *
 * `name`: that of a module which calls `doTasks`, beside the one at `base`, whose ending it has, compiled or not.
 */
export function createBackgroundThread<Task, Answer>(
  name: string,
  base: string,
): (task: Task) => Promise<Answer> {
  const module = new URL(`./${name}${extname(base)}`, base)
  let thread: Worker | undefined
  let ending: NodeJS.Timeout | undefined

  return async (task) => {
    clearTimeout(ending)
    thread ??= new Worker(module)
    thread.ref()
    thread.postMessage(task)
    try {
      const [answer] = await once(thread, 'message')
      thread.unref()
      ending = setTimeout(end, KEPT_MILLISECONDS).unref()
      return answer
    } catch (error) {
      // An error ends a thread.
      thread = undefined
      throw error
    }
  }

  function end(): void {
    void thread?.terminate()
    thread = undefined
  }
}
