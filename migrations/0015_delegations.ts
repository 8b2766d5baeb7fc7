import { type Kysely, sql } from 'kysely'

/**
 * Who lends a permission is found by an index: asked whenever a resource server gives one up, of accounts in any number.
 * Only those that act for end users are in it.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await sql`
    create index accounts_delegation on accounts using gin (delegation jsonb_path_ops)
    where delegation is not null`.execute(db)
}
