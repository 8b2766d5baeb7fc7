import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { migrate } from '../database/migrate.ts'
import { preparePartitions } from '../database/partitions.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'
import { withDatabase } from './with-database.ts'

/** Applies what is pending, under a lock, so that it can be called on every node of a deployment at once. */
export async function migrateDatabase(flags: ConfigurationFlags): Promise<void> {
  const config = readConfig(toSettings(flags))
  await withDatabase(config, async ({ db }) => {
    const applied = await migrate(db)
    process.stdout.write(
      applied.length === 0
        ? 'The database schema is up to date.\n'
        : applied.map((name) => `Applied ${name}.\n`).join(''),
    )
    await preparePartitions(db, systemClock.now())
  })
}
