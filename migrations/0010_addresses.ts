import { type Kysely, sql } from 'kysely'

/**
 * An address is an account's within its organization, and no longer within the whole installation: whether it is
 * taken must not depend on what other organizations have. Service accounts are named by their email alone, so
 * theirs stay unique; they are, by slug and issuer, and the index sees to it.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await sql`
    create unique index service_accounts_email on accounts (email)
    where kind = 'service_account' and status <> 'deleted'`.execute(db)
  await sql`drop index accounts_email`.execute(db)
  // The address comes first: it is what people sign in with.
  await sql`
    create unique index accounts_email on accounts (email, organization_id) where status <> 'deleted'`.execute(
    db,
  )
}
