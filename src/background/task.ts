import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'

/**
 * Makes of this thread one that does tasks for a `createBackgroundThread`, one after the other, and gives way to whatever
 * else the cores have to do. `niceness`: 0, as the process itself, to 19.
 */
export function doTasks<Task, Answer>(niceness: number, work: (task: Task) => Answer): void {
  stepBack(niceness)
  parentPort?.on('message', (task: Task) => parentPort?.postMessage(work(task)))
}

/** On Linux, which has priorities of threads; elsewhere it would be the whole process'. Where it is forbidden, so be it. */
function stepBack(niceness: number): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(niceness)
  } catch {
    // A sandbox does not let us.
  }
}
