import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** A thread takes some hundredths of a second to start, and some megabytes. */
const KEPT_MILLISECONDS = 10_000

/**
 * A thread for long computations that others shall not wait behind. It is started when there is a task, kept a while for the
 * next, and does one at a time: its caller takes turns (turns.ts). Waiting for an answer keeps the process alive; the thread
 * alone does not. Throws what the task throws, and when the thread ends; the next task has another one.
 *
 * `name`: that of a module which calls `doTasks`, beside the one at `base`, whose ending it has, compiled or not.
 */
export function createBackgroundThread<Task, Answer>(
  name: string,
  base: string,
): (task: Task) => Promise<Answer> {
  const module = new URL(`./${name}${extname(base)}`, base)
  let thread: Worker | undefined
  let outcome: PromiseWithResolvers<Answer> | undefined
  let ending: NodeJS.Timeout | undefined

  return async (task) => {
    clearTimeout(ending)
    outcome = Promise.withResolvers<Answer>()
    thread ??= start()
    thread.ref()
    try {
      thread.postMessage(task)
      return await outcome.promise
    } finally {
      outcome = undefined
      thread?.unref()
      ending = setTimeout(end, KEPT_MILLISECONDS).unref()
    }
  }

  function start(): Worker {
    const started = new Worker(module)
    const lose = (error: unknown) => {
      if (thread !== started) return
      end()
      outcome?.reject(error)
    }
    return started
      .on('message', (answer: Answer) => outcome?.resolve(answer))
      .on('messageerror', lose)
      .on('error', lose)
      .on('exit', (code) => lose(new Error(`a thread has ended with code ${code}`)))
  }

  function end(): void {
    void thread?.terminate()
    thread = undefined
  }
}
