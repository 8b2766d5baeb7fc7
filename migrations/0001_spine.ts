import { type Kysely, sql } from 'kysely'

/**
 * The directory (read-mostly, joins freely), the records (grow without end, see docs/decisions) and
 * `record_grants`, the one statement of the token path that writes.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await createDirectory(db)
  await createRecords(db)
  await createRecordGrants(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createDirectory(db: Kysely<any>): Promise<void> {
  await sql`
    create table organizations (
      id text primary key,
      slug text not null,
      name text not null,
      status text not null check (status in ('active', 'disabled', 'deleted')),
      is_operator boolean not null default false,
      settings jsonb not null,
      token_generation integer not null default 0,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create unique index organizations_slug on organizations (slug) where status <> 'deleted'`.execute(
    db,
  )
  await sql`create unique index organizations_operator on organizations (is_operator) where is_operator`.execute(
    db,
  )

  await sql`
    create table accounts (
      id text primary key,
      organization_id text not null references organizations,
      kind text not null check (kind in ('service_account', 'administrator')),
      name text not null,
      slug text not null,
      email text not null,
      description text not null,
      owner_contact text,
      status text not null check (status in ('active', 'disabled', 'deleted')),
      assertion_policy jsonb not null,
      token_generation integer not null default 0,
      created_at timestamptz not null,
      created_by text not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create unique index accounts_email on accounts (email) where status <> 'deleted'`.execute(db)
  await sql`create unique index accounts_slug on accounts (organization_id, slug) where status <> 'deleted'`.execute(
    db,
  )
  await sql`create index accounts_list on accounts (organization_id, id desc)`.execute(db)

  await sql`
    create table resource_servers (
      id text primary key,
      identifier text not null unique,
      name text not null,
      built_in boolean not null default false,
      token_format text not null check (token_format in ('jwt', 'opaque')),
      signing_algorithm text not null check (signing_algorithm in ('ES256', 'RS256', 'EdDSA')),
      token_lifetime_seconds integer not null check (token_lifetime_seconds between 60 and 86400),
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create unique index resource_servers_built_in on resource_servers (built_in) where built_in`.execute(
    db,
  )

  await sql`
    create table resource_server_secrets (
      id text primary key,
      resource_server_id text not null references resource_servers on delete cascade,
      name text not null,
      digest bytea not null unique,
      obfuscated text not null,
      created_at timestamptz not null,
      created_by text not null,
      last_used_at timestamptz
    )`.execute(db)
  await sql`create index resource_server_secrets_list on resource_server_secrets (resource_server_id, id desc)`.execute(
    db,
  )

  await sql`
    create table permissions (
      resource_server_id text not null references resource_servers on delete cascade,
      name text not null,
      description text not null,
      primary key (resource_server_id, name)
    )`.execute(db)

  await sql`
    create table account_permissions (
      account_id text not null references accounts,
      resource_server_id text not null,
      permission text not null,
      primary key (account_id, resource_server_id, permission),
      foreign key (resource_server_id, permission) references permissions (resource_server_id, name) on delete cascade
    )`.execute(db)
  await sql`create index account_permissions_of on account_permissions (resource_server_id, permission)`.execute(
    db,
  )

  await sql`
    create table keys (
      id text primary key,
      account_id text not null references accounts,
      kid text not null,
      name text not null,
      type text not null check (type in ('rsa', 'public_key')),
      algorithm text not null,
      modulus_length integer,
      thumbprint text not null unique,
      public_key jsonb not null,
      status text not null check (status in ('active', 'disabled', 'revoked')),
      not_before timestamptz,
      expires_at timestamptz,
      token_generation integer not null default 0,
      created_at timestamptz not null,
      created_by text not null,
      updated_at timestamptz not null,
      last_used_at timestamptz,
      last_used_ip text,
      last_used_user_agent text,
      unique (account_id, kid)
    )`.execute(db)
  await sql`create index keys_of_account on keys (account_id, id desc)`.execute(db)

  await sql`
    create table signing_keys (
      id text primary key,
      algorithm text not null check (algorithm in ('ES256', 'RS256', 'EdDSA')),
      status text not null check (status in ('next', 'active', 'retiring', 'gone')),
      public_key jsonb not null,
      wrapped_private_key bytea not null,
      created_at timestamptz not null
    )`.execute(db)
  await sql`create unique index signing_keys_active on signing_keys (algorithm) where status = 'active'`.execute(
    db,
  )
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createRecords(db: Kysely<any>): Promise<void> {
  // A replay bears the same exp, so it meets the same partition and the unique key holds.
  await sql`
    create table grant_records (
      account_id text not null,
      id text not null,
      assertion_expires_at timestamptz not null,
      jti text,
      organization_id text not null,
      key_id text not null,
      resource_server_id text not null,
      subject text not null,
      scope text not null,
      token_format text not null,
      token_digest bytea,
      token_generation integer not null,
      issued_at timestamptz not null,
      expires_at timestamptz not null,
      revoked_at timestamptz,
      client_ip text,
      user_agent text,
      request_id text not null,
      primary key (account_id, id, assertion_expires_at),
      unique (account_id, jti, assertion_expires_at)
    ) partition by range (assertion_expires_at)`.execute(db)
  await sql`create index grant_records_digest on grant_records (token_digest) where token_digest is not null`.execute(
    db,
  )

  await sql`
    create table audit_events (
      organization_id text not null,
      id text not null,
      at timestamptz not null,
      actor_id text,
      actor_kind text not null,
      actor_name text not null,
      action text not null,
      target_id text,
      target_kind text,
      target_name text,
      changes jsonb,
      reason text,
      ip text,
      user_agent text,
      request_id text,
      primary key (organization_id, id, at)
    ) partition by range (at)`.execute(db)
  await sql`create index audit_events_target on audit_events (organization_id, target_id, id desc)`.execute(
    db,
  )
  await sql`create index audit_events_actor on audit_events (organization_id, actor_id, id desc)`.execute(db)
}

/**
 * Writes a batch of grant records in one round trip and says of each what became of it:
 * `recorded`, `replayed` (its jti was claimed before) or `ended` (key, account or organization is no longer
 * active).
 *
 * The shared advisory lock is the other half of the exclusive one that every revocation takes just before it
 * commits (src/database/transaction.ts). Each statement of a volatile function sees a snapshot of its own, so
 * the insert below, which begins after the lock is held, sees every revocation that has been answered.
 */
// biome-ignore lint/suspicious/noExplicitAny: as above
async function createRecordGrants(db: Kysely<any>): Promise<void> {
  await sql`
    create function record_grants(
      p_now timestamptz,
      p_ids text[], p_account_ids text[], p_key_ids text[], p_jtis text[],
      p_assertion_expires_at timestamptz[], p_resource_server_ids text[], p_subjects text[], p_scopes text[],
      p_token_formats text[], p_token_digests bytea[], p_issued_at timestamptz[], p_expires_at timestamptz[],
      p_client_ips text[], p_user_agents text[], p_request_ids text[]
    ) returns table (id text, outcome text)
    language plpgsql volatile as $$
    begin
      perform pg_advisory_xact_lock_shared(4207, 1);
      return query
        with input as (
          select * from unnest(
            p_ids, p_account_ids, p_key_ids, p_jtis, p_assertion_expires_at, p_resource_server_ids, p_subjects,
            p_scopes, p_token_formats, p_token_digests, p_issued_at, p_expires_at, p_client_ips, p_user_agents,
            p_request_ids
          ) as t (
            id, account_id, key_id, jti, assertion_expires_at, resource_server_id, subject,
            scope, token_format, token_digest, issued_at, expires_at, client_ip, user_agent, request_id
          )
        ), live as (
          select i.*, a.organization_id,
                 o.token_generation + a.token_generation + k.token_generation as token_generation
          from input i
          join keys k on k.id = i.key_id and k.account_id = i.account_id and k.status = 'active'
                     and (k.expires_at is null or k.expires_at > p_now)
          join accounts a on a.id = i.account_id and a.status = 'active'
          join organizations o on o.id = a.organization_id and o.status = 'active'
        ), recorded as (
          insert into grant_records as g (
            account_id, id, assertion_expires_at, jti, organization_id, key_id, resource_server_id, subject, scope,
            token_format, token_digest, token_generation, issued_at, expires_at, client_ip, user_agent, request_id
          )
          select l.account_id, l.id, l.assertion_expires_at, l.jti, l.organization_id, l.key_id,
                 l.resource_server_id, l.subject, l.scope, l.token_format, l.token_digest, l.token_generation,
                 l.issued_at, l.expires_at, l.client_ip, l.user_agent, l.request_id
          from live l
          -- A batch waits for one of another node that is claiming the same jti. All claim in one order, so that
          -- no two wait for each other.
          order by l.account_id, l.jti, l.assertion_expires_at
          on conflict do nothing
          returning g.id, g.key_id, g.client_ip, g.user_agent
        ), idle_keys as (
          -- At most one write a minute and key; skip locked, so that no batch ever waits for another.
          select k.id from keys k
          where k.id in (select r.key_id from recorded r)
            and (k.last_used_at is null or k.last_used_at < p_now - interval '1 minute')
          for no key update skip locked
        ), used as (
          update keys k
          set last_used_at = p_now, last_used_ip = r.client_ip, last_used_user_agent = r.user_agent
          from recorded r
          where r.key_id = k.id and k.id in (select i.id from idle_keys i)
        )
        select i.id,
               case when r.id is not null then 'recorded' when l.id is null then 'ended' else 'replayed' end
        from input i
        left join live l on l.id = i.id
        left join recorded r on r.id = i.id;
    end
    $$`.execute(db)
}
