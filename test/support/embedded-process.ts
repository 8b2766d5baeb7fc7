import { startEmbedded } from '../../src/database/embedded.ts'
import { OperatorError } from '../../src/errors.ts'

/**
 * A process that owns an embedded PostgreSQL, for tests to kill: `node embedded-process.ts [data folder]`.
 * Prints one line of JSON: what it started, or why it was refused. Runs until SIGTERM.
 */
try {
  const embedded = await startEmbedded({
    dataDir: process.argv[2],
    log: (line) => console.error(line),
    extraSettings: { fsync: 'off' },
  })
  process.once('SIGTERM', () => embedded.stop().then(() => process.exit(0)))
  console.log(JSON.stringify(embedded))
} catch (error) {
  console.log(JSON.stringify({ refused: error instanceof OperatorError ? error.message : `bug: ${error}` }))
  process.exitCode = 1
}
