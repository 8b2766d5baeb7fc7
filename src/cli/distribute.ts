import { readConfig } from '../config.ts'
import { readCatalogue, toDistribution } from '../database/distribution.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'
import { withDatabase } from './with-database.ts'

/** Prints the statements that distribute the schema of the configured database with Citus. Changes nothing. */
export async function distribute(flags: ConfigurationFlags): Promise<void> {
  await withDatabase(readConfig(toSettings(flags)), async ({ db }) => {
    process.stdout.write(`${toDistribution(await readCatalogue(db)).join('\n')}\n`)
  })
}
