import { type Kysely, sql } from 'kysely'

/**
 * How many tokens each key got on each day, counted once when the day is over: what a chart of a month needs, in a row
 * for what are thousands of grant records. Days that were counted are written down, so that none counts twice and a
 * day without tokens can be told from one that nobody counted.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await sql`
    create table token_tallies (
      account_id text not null,
      day timestamptz not null,
      key_id text not null,
      tokens bigint not null check (tokens > 0),
      primary key (account_id, day, key_id)
    ) partition by range (day)`.execute(db)
  await sql`create table tallied_days (day timestamptz primary key)`.execute(db)
}
