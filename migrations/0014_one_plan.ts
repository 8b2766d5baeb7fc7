import { type Kysely, sql } from 'kysely'

/**
 * `record_grants` with the same words to the same effect, and one plan whatever the planner believes of the tables
 * (docs/decisions/0029): key, account and organization of each grant are looked up by their ids and cannot be read whole.
 * What it joins besides is its own batch, which is what hash joins are for: only here they are allowed.
 *
 * In the place of the former one: nodes of the version before call it alike.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await sql`
    create or replace function record_grants(
      p_now timestamptz,
      p_ids text[], p_account_ids text[], p_key_ids text[], p_jtis text[],
      p_assertion_expires_at timestamptz[], p_resource_server_ids text[], p_subjects text[], p_scopes text[],
      p_token_formats text[], p_token_digests bytea[], p_issued_at timestamptz[], p_expires_at timestamptz[],
      p_client_ips text[], p_user_agents text[], p_request_ids text[], p_quotas integer[],
      p_confirmations jsonb[], p_proof_owners text[], p_proof_digests bytea[], p_proof_expires_at timestamptz[]
    ) returns table (id text, outcome text, used integer)
    language plpgsql volatile set enable_hashjoin = on as $$
    declare
      -- By account: how many requests of this minute came before this batch.
      v_counts jsonb;
      -- The positions of those whose proof this batch has claimed.
      v_proven bigint[];
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

      if num_nonnulls(variadic p_proof_owners) > 0 then
        with proofs as (
          select t.owner, t.digest, t.expires_at, min(t.ordinal) as ordinal
          from unnest(p_proof_owners, p_proof_digests, p_proof_expires_at)
            with ordinality as t (owner, digest, expires_at, ordinal)
          where t.owner is not null
          group by 1, 2, 3
        ), claimed as (
          insert into used_jtis as u (owner, digest, expires_at)
          select p.owner, p.digest, p.expires_at from proofs p order by p.owner, p.digest, p.expires_at
          on conflict do nothing
          returning u.owner, u.digest, u.expires_at
        )
        select array_agg(p.ordinal) into v_proven
        from claimed c
        join proofs p on p.owner = c.owner and p.digest = c.digest and p.expires_at = c.expires_at;
      end if;

      return query
        with input as (
          select t.*, (t.proof_owner is not null and t.ordinal <> all (coalesce(v_proven, '{}'))) as proof_was_used,
                      (v_counts ->> t.account_id)::integer
                      + (count(t.quota) over (partition by t.account_id order by t.ordinal))::integer as used
          from unnest(
            p_ids, p_account_ids, p_key_ids, p_jtis, p_assertion_expires_at, p_resource_server_ids, p_subjects,
            p_scopes, p_token_formats, p_token_digests, p_issued_at, p_expires_at, p_client_ips, p_user_agents,
            p_request_ids, p_quotas, p_confirmations, p_proof_owners
          ) with ordinality as t (
            id, account_id, key_id, jti, assertion_expires_at, resource_server_id, subject, scope, token_format,
            token_digest, issued_at, expires_at, client_ip, user_agent, request_id, quota, confirmation,
            proof_owner, ordinal
          )
        ), live as (
          select i.*, a.organization_id, u.was_used is true as was_used,
                 o.token_generation + a.token_generation + k.token_generation as token_generation
          from input i
          cross join lateral (select * from keys x where x.id = i.key_id limit 1) k
          cross join lateral (select * from accounts x where x.id = i.account_id limit 1) a
          cross join lateral (select * from organizations x where x.id = a.organization_id limit 1) o
          left join lateral (
            select true as was_used from used_jtis x
            where x.owner = i.account_id and x.digest = sha256(convert_to(i.jti, 'UTF8'))
              and x.expires_at = i.assertion_expires_at
            limit 1
          ) u on i.jti is not null
          where k.account_id = i.account_id and k.status = 'active' and (k.expires_at is null or k.expires_at > p_now)
            and a.status = 'active'
            and o.status = 'active' and (k.type <> 'api_token' or (o.settings ->> 'allowApiTokens')::boolean)
        ), recorded as (
          insert into grant_records as g (
            account_id, id, assertion_expires_at, jti, organization_id, key_id, resource_server_id, subject, scope,
            token_format, token_digest, token_generation, issued_at, expires_at, client_ip, user_agent, request_id,
            confirmation
          )
          select l.account_id, l.id, l.assertion_expires_at, l.jti, l.organization_id, l.key_id,
                 l.resource_server_id, l.subject, l.scope, l.token_format, l.token_digest, l.token_generation,
                 l.issued_at, l.expires_at, l.client_ip, l.user_agent, l.request_id, l.confirmation
          from live l
          where not l.was_used and not l.proof_was_used and (l.quota is null or l.used <= l.quota)
          -- A batch waits for one of another node that is claiming the same jti. All claim in one order, so that
          -- no two wait for each other.
          order by l.account_id, l.jti, l.assertion_expires_at
          on conflict do nothing
          returning g.id, g.key_id, g.client_ip, g.user_agent
        ), idle_keys as (
          -- At most one write a minute and key; skip locked, so that no batch ever waits for another.
          select k.id from keys k
          where k.id = any (array(select r.key_id from recorded r))
            and (k.last_used_at is null or k.last_used_at < p_now - interval '1 minute')
          for no key update skip locked
        ), noted as (
          update keys k
          set last_used_at = p_now, last_used_ip = r.client_ip, last_used_user_agent = r.user_agent
          from recorded r
          where r.key_id = k.id and k.id = any (array(select i.id from idle_keys i))
        )
        select i.id,
               case when r.id is not null then 'recorded'
                    when l.id is null then 'ended'
                    when l.used > l.quota then 'limited'
                    when l.proof_was_used then 'proof_replayed'
                    else 'replayed' end,
               case when i.quota is not null then i.used end
        from input i
        left join live l on l.id = i.id
        left join recorded r on r.id = i.id;
    end
    $$`.execute(db)
}
