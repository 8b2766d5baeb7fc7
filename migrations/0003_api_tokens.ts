import { type Kysely, sql } from 'kysely'

/**
 * API tokens: keys that are a secret instead of a pair. The organization settings and the member of accounts
 * that go with them, and `record_grants` with a limit on what one account may ask for in a minute.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await letKeysBeSecrets(db)
  await addLimits(db)
  await replaceRecordGrants(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function letKeysBeSecrets(db: Kysely<any>): Promise<void> {
  await sql`
    alter table keys
      alter column kid drop not null,
      alter column algorithm drop not null,
      alter column thumbprint drop not null,
      alter column public_key drop not null,
      add column secret_digest bytea,
      add column obfuscated_token text,
      drop constraint keys_type_check,
      add constraint keys_type_check check (type in ('rsa', 'public_key', 'api_token')),
      add constraint keys_material check (
        case when type = 'api_token'
          then num_nonnulls(kid, algorithm, modulus_length, thumbprint, public_key) = 0
               and num_nonnulls(secret_digest, obfuscated_token) = 2
               and octet_length(secret_digest) = 32
          else num_nonnulls(kid, algorithm, thumbprint, public_key) = 4
               and num_nonnulls(secret_digest, obfuscated_token) = 0
        end)`.execute(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function addLimits(db: Kysely<any>): Promise<void> {
  await sql`
    update organizations
    set settings = '{"allowApiTokens": true, "tokenRequestsPerMinute": null}'::jsonb || settings`.execute(db)
  await sql`
    alter table accounts
      add column token_requests_per_minute integer check (token_requests_per_minute > 0)`.execute(db)
  // A row for each account that has a limit. Unlogged: a crash of the database forgets one minute of counting.
  // Half-filled pages keep the updates in place.
  await sql`
    create unlogged table token_request_counts (
      account_id text primary key,
      minute timestamptz not null,
      requests integer not null
    ) with (fillfactor = 50)`.execute(db)
}

/**
 * The same as before, and:
 * - an account with a quota gets no more than so many records in a minute of the clock (`limited`); the count
 *   is exact over all nodes, because its row is locked until the batch commits;
 * - a key that is an API token counts only where the organization allows them.
 *
 * The counts come first, in the order of the accounts, and before any record: so batches that meet on several
 * rows wait for one another in one order, and never in a circle.
 */
// biome-ignore lint/suspicious/noExplicitAny: as above
async function replaceRecordGrants(db: Kysely<any>): Promise<void> {
  await sql`
    drop function record_grants(
      timestamptz, text[], text[], text[], text[], timestamptz[], text[], text[], text[], text[], bytea[],
      timestamptz[], timestamptz[], text[], text[], text[])`.execute(db)
  await sql`
    create function record_grants(
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
          select i.*, a.organization_id,
                 o.token_generation + a.token_generation + k.token_generation as token_generation
          from input i
          join keys k on k.id = i.key_id and k.account_id = i.account_id and k.status = 'active'
                     and (k.expires_at is null or k.expires_at > p_now)
          join accounts a on a.id = i.account_id and a.status = 'active'
          join organizations o on o.id = a.organization_id and o.status = 'active'
                              and (k.type <> 'api_token' or (o.settings ->> 'allowApiTokens')::boolean)
        ), recorded as (
          insert into grant_records as g (
            account_id, id, assertion_expires_at, jti, organization_id, key_id, resource_server_id, subject, scope,
            token_format, token_digest, token_generation, issued_at, expires_at, client_ip, user_agent, request_id
          )
          select l.account_id, l.id, l.assertion_expires_at, l.jti, l.organization_id, l.key_id,
                 l.resource_server_id, l.subject, l.scope, l.token_format, l.token_digest, l.token_generation,
                 l.issued_at, l.expires_at, l.client_ip, l.user_agent, l.request_id
          from live l
          where l.quota is null or l.used <= l.quota
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
