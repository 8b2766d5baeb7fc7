import { doTasks } from '../../src/background/task.ts'

/** Ends without an error, as a task of ours never should. */
doTasks(0, (code: number) => (code === 0 ? 'goes on' : process.exit(code)))
