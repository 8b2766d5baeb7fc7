import { readdir } from 'node:fs/promises'
import { type Kysely, type Migration, Migrator, sql } from 'kysely'
import { OperatorError } from '../errors.ts'
import type { Database } from './tables.ts'

/** PostgreSQL versions that the schema is written for, as `server_version_num`. */
export const OLDEST_SERVER_VERSION = 150_000
const MIGRATIONS = new URL('../../migrations/', import.meta.url)

/** The schema compared with the code. `unknown` are migrations that a newer version of the code has made. */
export type SchemaState = { applied: string[]; pending: string[]; unknown: string[] }

/**
 * Applies all pending migrations and answers their names. Nodes that start together do not collide: Kysely's
 * migrator holds an advisory lock for the transaction, and who comes second finds nothing left to do.
 * Throws OperatorError when the database is newer than the code, or PostgreSQL older than 15.
 */
export async function migrate(db: Kysely<Database>): Promise<string[]> {
  await assertServerVersion(db)
  assertNotNewer(await readSchemaState(db))
  const { error, results = [] } = await createMigrator(db).migrateToLatest()
  if (error !== undefined) throw error
  return results.map((result) => result.migrationName)
}

/** Compares what the database has with what the code brings. Changes nothing. */
export async function readSchemaState(db: Kysely<Database>): Promise<SchemaState> {
  const known = Object.keys(await loadMigrations())
  const applied = await readApplied(db)
  return {
    applied,
    pending: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  }
}

/** Refuses a schema that a newer version of the server has made. */
export function assertNotNewer(state: SchemaState): void {
  const newest = state.unknown.at(-1)
  if (newest === undefined) return
  throw new OperatorError(
    `The database schema is newer than this version of Countersign (it has the migration ${newest}). ` +
      'Start the version that migrated it, or a later one.',
  )
}

function createMigrator(db: Kysely<Database>): Migrator {
  return new Migrator({ db, provider: { getMigrations: loadMigrations } })
}

/** The files beside the code: `.ts` in the sources, `.js` in the published package; both bear one name. */
async function loadMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(MIGRATIONS)).filter((file) => /^\d{4}_.*\.(ts|js)$/.test(file)).sort()
  const migrations: Record<string, Migration> = {}
  for (const file of files) {
    migrations[file.replace(/\.(ts|js)$/, '')] = await import(new URL(file, MIGRATIONS).href)
  }
  return migrations
}

async function readApplied(db: Kysely<Database>): Promise<string[]> {
  const { rows: tables } = await sql<{ present: boolean }>`
    select to_regclass('kysely_migration') is not null as present`.execute(db)
  if (tables[0]?.present !== true) return []
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  return rows.map((row) => row.name)
}

async function assertServerVersion(db: Kysely<Database>): Promise<void> {
  const { rows } = await sql<{ version: number; shown: string }>`
    select current_setting('server_version_num')::int as version, current_setting('server_version') as shown`.execute(
    db,
  )
  const server = rows[0]
  if (server !== undefined && server.version >= OLDEST_SERVER_VERSION) return
  throw new OperatorError(`PostgreSQL ${server?.shown} is too old. Countersign needs PostgreSQL 15 or later.`)
}
