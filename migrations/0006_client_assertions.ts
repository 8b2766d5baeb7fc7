import { type Kysely, sql } from 'kysely'

/**
 * Authentication by assertion: `jti`s that were used and left no grant record, the public keys of resource
 * servers, the audience that an account's client assertions may name, and with which algorithm a resource
 * server wants its introspection answers signed.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await createUsedJtis(db)
  await createResourceServerKeys(db)
  await addSettings(db)
  await replaceRecordGrants(db)
  await createClaimAccountJtis(db)
}

/**
 * A record of each JWT that may be used once and leaves no grant record: by its owner (an account, a resource
 * server, the thumbprint of a key), the digest of what makes it one (its `jti`, and what else) and its expiry.
 * Partitioned as grant records are, and for the same reason: a replay bears the same expiry.
 */
// biome-ignore lint/suspicious/noExplicitAny: as above
async function createUsedJtis(db: Kysely<any>): Promise<void> {
  await sql`
    create table used_jtis (
      owner text not null,
      digest bytea not null,
      expires_at timestamptz not null,
      primary key (owner, digest, expires_at)
    ) partition by range (expires_at)`.execute(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createResourceServerKeys(db: Kysely<any>): Promise<void> {
  await sql`
    create table resource_server_keys (
      id text primary key,
      resource_server_id text not null references resource_servers on delete cascade,
      kid text not null,
      name text not null,
      algorithm text not null,
      modulus_length integer,
      thumbprint text not null unique,
      public_key jsonb not null,
      status text not null check (status in ('active', 'disabled', 'revoked')),
      expires_at timestamptz,
      created_at timestamptz not null,
      created_by text not null,
      updated_at timestamptz not null,
      last_used_at timestamptz,
      unique (resource_server_id, kid)
    )`.execute(db)
  await sql`create index resource_server_keys_list on resource_server_keys (resource_server_id, id desc)`.execute(
    db,
  )
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function addSettings(db: Kysely<any>): Promise<void> {
  await sql`
    update accounts
    set assertion_policy = '{"clientAssertionAudience": "issuer"}'::jsonb || assertion_policy`.execute(db)
  // RFC 9701 §6: RS256 unless something else is registered.
  await sql`
    alter table resource_servers
      add column introspection_signing_algorithm text not null default 'RS256'
        check (introspection_signing_algorithm in ('ES256', 'RS256', 'EdDSA'))`.execute(db)
}

/**
 * The same as before, and: an assertion whose jti stands in `used_jtis` was used before (`replayed`). The
 * lateral join keeps it a probe of the index, row by row, whatever the planner believes of the table's size.
 */
// biome-ignore lint/suspicious/noExplicitAny: as above
async function replaceRecordGrants(db: Kysely<any>): Promise<void> {
  await sql`
    create or replace function record_grants(
      p_now timestamptz,
      p_ids text[], p_account_ids text[], p_key_ids text[], p_jtis text[],
      p_assertion_expires_at timestamptz[], p_resource_server_ids text[], p_subjects text[], p_scopes text[],
      p_token_formats text[], p_token_digests bytea[], p_issued_at timestamptz[], p_expires_at timestamptz[],
      p_client_ips text[], p_user_agents text[], p_request_ids text[], p_quotas integer[]
    ) returns table (id text, outcome text, used integer)
    language plpgsql volatile as $$
    declare
      -- By account: how many requests of this minute came before this batch.
      v_counts jsonb;
    begin
      perform pg_advisory_xact_lock_shared(4207, 1);

      if num_nonnulls(variadic p_quotas) > 0 then
        with asked as (
          select t.account_id, count(*)::integer as requests
          from unnest(p_account_ids, p_quotas) as t (account_id, quota)
          where t.quota is not null
          group by t.account_id
        ), counted as (
          insert into token_request_counts as c (account_id, minute, requests)
          select a.account_id, date_trunc('minute', p_now), a.requests from asked a order by a.account_id
          on conflict (account_id) do update
          set requests = case when excluded.minute > c.minute then excluded.requests
                              else c.requests + excluded.requests end,
              -- A node whose clock lags counts into the minute that the others have begun.
              minute = greatest(c.minute, excluded.minute)
          returning c.account_id, c.requests
        )
        select jsonb_object_agg(c.account_id, c.requests - a.requests) into v_counts
        from counted c join asked a on a.account_id = c.account_id;
      end if;

      return query
        with input as (
          select t.*, (v_counts ->> t.account_id)::integer
                      + (count(t.quota) over (partition by t.account_id order by t.ordinal))::integer as used
          from unnest(
            p_ids, p_account_ids, p_key_ids, p_jtis, p_assertion_expires_at, p_resource_server_ids, p_subjects,
            p_scopes, p_token_formats, p_token_digests, p_issued_at, p_expires_at, p_client_ips, p_user_agents,
            p_request_ids, p_quotas
          ) with ordinality as t (
            id, account_id, key_id, jti, assertion_expires_at, resource_server_id, subject, scope, token_format,
            token_digest, issued_at, expires_at, client_ip, user_agent, request_id, quota, ordinal
          )
        ), live as (
          select i.*, a.organization_id, u.was_used is true as was_used,
                 o.token_generation + a.token_generation + k.token_generation as token_generation
          from input i
          join keys k on k.id = i.key_id and k.account_id = i.account_id and k.status = 'active'
                     and (k.expires_at is null or k.expires_at > p_now)
          join accounts a on a.id = i.account_id and a.status = 'active'
          join organizations o on o.id = a.organization_id and o.status = 'active'
                              and (k.type <> 'api_token' or (o.settings ->> 'allowApiTokens')::boolean)
          left join lateral (
            select true as was_used from used_jtis x
            where x.owner = i.account_id and x.digest = sha256(convert_to(i.jti, 'UTF8'))
              and x.expires_at = i.assertion_expires_at
            limit 1
          ) u on i.jti is not null
        ), recorded as (
          insert into grant_records as g (
            account_id, id, assertion_expires_at, jti, organization_id, key_id, resource_server_id, subject, scope,
            token_format, token_digest, token_generation, issued_at, expires_at, client_ip, user_agent, request_id
          )
          select l.account_id, l.id, l.assertion_expires_at, l.jti, l.organization_id, l.key_id,
                 l.resource_server_id, l.subject, l.scope, l.token_format, l.token_digest, l.token_generation,
                 l.issued_at, l.expires_at, l.client_ip, l.user_agent, l.request_id
          from live l
          where not l.was_used and (l.quota is null or l.used <= l.quota)
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
        ), noted as (
          update keys k
          set last_used_at = p_now, last_used_ip = r.client_ip, last_used_user_agent = r.user_agent
          from recorded r
          where r.key_id = k.id and k.id in (select i.id from idle_keys i)
        )
        select i.id,
               case when r.id is not null then 'recorded'
                    when l.id is null then 'ended'
                    when l.used > l.quota then 'limited'
                    else 'replayed' end,
               case when i.quota is not null then i.used end
        from input i
        left join live l on l.id = i.id
        left join recorded r on r.id = i.id;
    end
    $$`.execute(db)
}

/**
 * Claims jtis of accounts' assertions that leave no grant record, and answers the positions of those that were
 * neither claimed here before nor by a grant record.
 *
 * `record_grants` looks here before it records, this looks at the records after it has claimed, and the advisory
 * lock lets no batch of either be half-way while the other looks: one JWT is good for one of the two, however
 * closely they race. Grants share the lock; who claims here has it alone for the time of one commit, as whoever
 * revokes has.
 */
// biome-ignore lint/suspicious/noExplicitAny: as above
async function createClaimAccountJtis(db: Kysely<any>): Promise<void> {
  await sql`
    create function claim_account_jtis(p_account_ids text[], p_jtis text[], p_expires_at timestamptz[])
    returns table (ordinal bigint)
    language plpgsql volatile as $$
    declare
      v_claimed bigint[];
    begin
      -- In one order, so that no two batches wait for each other.
      with input as (
        select t.account_id, sha256(convert_to(t.jti, 'UTF8')) as digest, t.expires_at, min(t.ordinal) as ordinal
        from unnest(p_account_ids, p_jtis, p_expires_at) with ordinality as t (account_id, jti, expires_at, ordinal)
        group by 1, 2, 3
      ), claimed as (
        insert into used_jtis as u (owner, digest, expires_at)
        select i.account_id, i.digest, i.expires_at from input i order by i.account_id, i.digest, i.expires_at
        on conflict do nothing
        returning u.owner, u.digest, u.expires_at
      )
      select array_agg(i.ordinal) into v_claimed
      from claimed c
      join input i on i.account_id = c.owner and i.digest = c.digest and i.expires_at = c.expires_at;

      perform pg_advisory_xact_lock(4207, 1);

      return query
        select c.ordinal
        from unnest(v_claimed) as c (ordinal)
        left join lateral (
          select true as was_granted from grant_records x
          where x.account_id = p_account_ids[c.ordinal] and x.jti = p_jtis[c.ordinal]
            and x.assertion_expires_at = p_expires_at[c.ordinal]
          limit 1
        ) g on true
        where g.was_granted is null;
    end
    $$`.execute(db)
}
