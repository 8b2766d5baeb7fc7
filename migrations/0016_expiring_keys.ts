import { type Kysely, sql } from 'kysely'

/**
 * Whether a key of an account runs out soon is asked of the accounts of one organization, one after the other, and not of
 * all keys that there are: the index begins with the account, and holds only keys that run out at all. An organization
 * of many accounts pays for each of them, also where hardly a key runs out; in return nobody pays for others.
 *
 * The former index goes first, which takes the strongest lock at once. Taken later, it and the tokens under way would wait
 * for each other. Tokens wait until the new one is made.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await sql`drop index keys_expiring`.execute(db)
  await sql`
    create index keys_expiring_of_account on keys (account_id, expires_at)
    where status = 'active' and expires_at is not null`.execute(db)
}
