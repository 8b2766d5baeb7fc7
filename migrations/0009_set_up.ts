import { type Kysely, sql } from 'kysely'

/**
 * The link by which the first administrator of the installation says who they are. One row at most, ever: a
 * second start finds it and prints nothing.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await sql`
    create table set_up_link (
      is_only boolean primary key default true check (is_only),
      digest bytea not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      used_at timestamptz
    )`.execute(db)
}
