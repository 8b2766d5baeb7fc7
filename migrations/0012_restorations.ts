import { type Kysely, sql } from 'kysely'

/**
 * When the database was put back from a backup: what was signed before may have been used after the backup was made,
 * and nothing here knows of it.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await sql`create table restorations (restored_at timestamptz primary key)`.execute(db)
}
