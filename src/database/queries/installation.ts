import { sql, type Transaction } from 'kysely'
import type { Database } from '../tables.ts'

/** Serializes nodes that set the installation up: who comes second sees what the first one made. */
export async function lockInstallation(trx: Transaction<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(4207, 4)`.execute(trx)
}
