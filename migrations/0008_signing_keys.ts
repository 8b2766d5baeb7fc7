import { type Kysely, sql } from 'kysely'

/**
 * Signing keys that take turns: when each began to sign, stopped, and left the published set. One key of each
 * algorithm stands ready; a key that signs no more has no private half any more.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await sql`
    alter table signing_keys
      add column activated_at timestamptz,
      add column retired_at timestamptz,
      add column removed_at timestamptz,
      add column revoked_at timestamptz,
      alter column wrapped_private_key drop not null`.execute(db)
  await sql`update signing_keys set activated_at = created_at where status = 'active'`.execute(db)
  await sql`create unique index signing_keys_next on signing_keys (algorithm) where status = 'next'`.execute(
    db,
  )
  await createActiveSigningKeys(db)
}

/**
 * The keys that sign now, for the statement that has just recorded grants: called after `record_grants` and in its
 * transaction, it is still under the lock that a revocation waits for, and its snapshot is younger than that lock.
 * So no record is told a key that was revoked before. The argument is of no other use than to be the outcome of the
 * recording, which puts this behind it.
 */
// biome-ignore lint/suspicious/noExplicitAny: as above
async function createActiveSigningKeys(db: Kysely<any>): Promise<void> {
  await sql`
    create function active_signing_keys(p_recorded bigint) returns table (algorithm text, id text)
    language plpgsql volatile as $$
    begin
      return query select s.algorithm, s.id from signing_keys s where s.status = 'active';
    end
    $$`.execute(db)
}
