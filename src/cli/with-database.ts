import type { Config } from '../config.ts'
import { type OpenDatabase, openDatabase } from '../database/open.ts'

/** Opens the configured database for the time of one task. Throws OperatorError when it cannot be had. */
export async function withDatabase<Result>(
  config: Config,
  task: (database: OpenDatabase) => Promise<Result>,
): Promise<Result> {
  const database = await openDatabase(config, {
    tell: (line) => process.stderr.write(`${line}\n`),
    // A task of seconds: a connection that breaks breaks the statement on it, and that is told.
    onIdleError: () => undefined,
  })
  try {
    return await task(database)
  } finally {
    await database.close()
  }
}
