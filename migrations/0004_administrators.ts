import { type Kysely, sql } from 'kysely'

/**
 * Administrators: people. Their credentials stand apart from accounts, so that nothing which reads accounts
 * ever reads a password hash; invitations, sessions, and the identity provider of an organization.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await admitPeople(db)
  await createCredentials(db)
  await createSessions(db)
  await createIdentityProviders(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function admitPeople(db: Kysely<any>): Promise<void> {
  await sql`alter table accounts alter column slug drop not null`.execute(db)
  await sql`
    alter table accounts
      add constraint accounts_slug_kind check (kind = 'administrator' or slug is not null)`.execute(db)
  await sql`alter table accounts drop constraint accounts_status_check`.execute(db)
  await sql`
    alter table accounts
      add constraint accounts_status_check check (
        status in ('active', 'disabled', 'deleted') or (status = 'invited' and kind = 'administrator')
      )`.execute(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createCredentials(db: Kysely<any>): Promise<void> {
  // Without totp_confirmed_at the second factor is being set up, and not asked for yet.
  await sql`
    create table administrator_credentials (
      account_id text primary key references accounts,
      password_hash text,
      password_changed_at timestamptz,
      wrapped_totp_secret bytea,
      totp_confirmed_at timestamptz,
      totp_last_step bigint,
      last_sign_in_at timestamptz
    )`.execute(db)

  await sql`
    create table recovery_codes (
      account_id text not null references accounts,
      digest bytea not null,
      primary key (account_id, digest)
    )`.execute(db)

  // One of them counts: a new invitation takes the place of the one before.
  await sql`
    create table invitations (
      account_id text primary key references accounts,
      digest bytea not null unique,
      expires_at timestamptz not null,
      created_at timestamptz not null,
      created_by text not null
    )`.execute(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createSessions(db: Kysely<any>): Promise<void> {
  // token_generation is that of account and organization at sign-in: when either grows, the session is over.
  await sql`
    create table sessions (
      id text primary key,
      account_id text not null references accounts,
      digest bytea not null unique,
      method text not null check (method in ('password', 'openid')),
      awaits_second_factor boolean not null,
      token_generation integer not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      last_seen_at timestamptz not null,
      ended_at timestamptz,
      ip text,
      user_agent text
    )`.execute(db)
  await sql`create index sessions_of_account on sessions (account_id, id desc)`.execute(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createIdentityProviders(db: Kysely<any>): Promise<void> {
  await sql`
    create table identity_providers (
      organization_id text primary key references organizations,
      issuer text not null,
      client_id text not null,
      wrapped_client_secret bytea,
      email_domains text[] not null,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)

  // Who an administrator is at the provider; the address serves only to find this out the first time.
  await sql`
    create table openid_identities (
      account_id text primary key references accounts,
      organization_id text not null references organizations,
      issuer text not null,
      subject text not null,
      linked_at timestamptz not null,
      unique (organization_id, issuer, subject)
    )`.execute(db)
}
