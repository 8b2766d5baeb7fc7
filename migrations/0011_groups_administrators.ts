import { type Kysely, sql } from 'kysely'

/**
 * Who reaches all groups of an organization is told on the page of each group, and in the list of them. They are few
 * among many accounts.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await sql`
    create index accounts_groups_administrators on accounts (organization_id, id desc)
    where groups_administrator is not null`.execute(db)
}
