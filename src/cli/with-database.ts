import type { Config } from '../config.ts'
import { type OpenDatabase, openDatabase } from '../database/open.ts'
import { isDatabaseUnavailable } from '../database/unavailable.ts'
import { messageOf, OperatorError } from '../errors.ts'

/**
 * Opens the configured database for the time of one task, also while a server runs on the embedded one. Throws
 * OperatorError when it cannot be had, or goes away meanwhile.
 */
export async function withDatabase<Result>(
  config: Config,
  task: (database: OpenDatabase) => Promise<Result>,
): Promise<Result> {
  const database = await openDatabase(config, {
    beside: true,
    tell: (line) => process.stderr.write(`${line}\n`),
    // A task of seconds: a connection that breaks breaks the statement on it, and that is told.
    onIdleError: () => undefined,
  })
  try {
    return await task(database)
  } catch (error) {
    if (error instanceof OperatorError || !isDatabaseUnavailable(error)) throw error
    throw new OperatorError(`The database went away (${messageOf(error)}). Run the command again.`, {
      cause: error,
    })
  } finally {
    await database.close()
  }
}
