import type pg from 'pg'
import { type Countersign, SCOPE } from './countersign.ts'
import { connectToDatabase } from './footprint.ts'
import { defineMadeIds, FILLING } from './made-ids.ts'

const YEAR_MILLISECONDS = 365 * 86_400_000
/** Of the organizations besides the large one. */
const ACCOUNTS_PER_ORGANIZATION = 100
const KEYS_PER_ACCOUNT = 3

/**
 * Writes service accounts that were made over the year up to `now` (milliseconds), each with three keys (RSA, P-256, API
 * token), a permission and an audit event. A tenth of them are of the one organization that is listed and searched, the
 * others of organizations with a hundred each. Hashes of events and public keys are made up: nothing verifies them here.
 */
export async function fillAccounts(countersign: Countersign, accounts: number, now: number): Promise<void> {
  const database = await connectToDatabase(countersign)
  await database.query(FILLING)
  await defineMadeIds(database)
  const first = now - YEAR_MILLISECONDS
  const { accountId } = countersign.subjects.jwt.source
  await database.query('create temporary table model as select * from accounts where id = $1', [accountId])
  const organizations = Math.max(1, Math.round((accounts * 0.9) / ACCOUNTS_PER_ORGANIZATION))
  await database.query(INSERT_ORGANIZATIONS, [first, YEAR_MILLISECONDS / organizations, organizations])
  await database.query(FILLED_ORGANIZATIONS)
  await database.query(INSERT_ACCOUNTS, [first, YEAR_MILLISECONDS / accounts, accounts])
  await database.query(INSERT_KEYS)
  await database.query(INSERT_PERMISSIONS, [countersign.subjects.jwt.resource, SCOPE])
  await createMonths(database, first, now)
  await database.query(INSERT_EVENTS)
  await database.query(MOVE_HEADS)
  await database.query('vacuum analyze')
  await database.query('checkpoint')
  await database.end()
}

const INSERT_ORGANIZATIONS = `
  insert into organizations (id, slug, name, status, settings, created_at, updated_at)
  select pg_temp.made_id('org', t.ms), 'customer-' || t.n, 'Customer ' || t.n, 'active', o.settings,
         to_timestamp(t.ms / 1000), to_timestamp(t.ms / 1000)
  from (select n, ($1::float8 + n * $2::float8)::bigint as ms from generate_series(0, $3::integer - 1) n offset 0) t,
       model m join organizations o on o.id = m.organization_id`

const FILLED_ORGANIZATIONS = `
  create temporary table filled_organizations as
    select row_number() over (order by id) - 1 as n, id, slug from organizations where slug like 'customer-%';
  alter table filled_organizations add primary key (n);
  analyze filled_organizations`

const INSERT_ACCOUNTS = `
  insert into accounts (id, organization_id, kind, name, slug, email, description, owner_contact, status,
                        assertion_policy, created_at, created_by, updated_at)
  select pg_temp.made_id('acc', t.ms), case when t.n % 10 = 0 then m.organization_id else o.id end, m.kind,
         (array['Invoice', 'Payroll', 'Directory', 'Warehouse', 'Ticket', 'Backup', 'Report'])[t.n % 7 + 1] || ' '
           || (array['sync', 'export', 'import', 'monitor', 'bot'])[t.n % 5 + 1] || ' ' || t.n,
         'made-' || t.n, 'made-' || t.n || '@customer.localhost', 'Made by the benchmark of growth',
         case when t.n % 3 > 0 then 'team-' || t.n % 100 || '@customer.example' end, 'active',
         m.assertion_policy, to_timestamp(t.ms / 1000), m.created_by, to_timestamp(t.ms / 1000)
  from (select n, ($1::float8 + n * $2::float8)::bigint as ms from generate_series(0, $3::integer - 1) n offset 0) t
  join filled_organizations o on o.n = t.n / 10 % (select count(*) from filled_organizations)
  cross join model m
  order by t.n`

/** One for each type; the modulus of an RSA key has 342 characters. */
const INSERT_KEYS = `
  insert into keys (id, account_id, kid, name, type, algorithm, modulus_length, thumbprint, public_key, secret_digest,
                    obfuscated_token, status, created_at, created_by, updated_at, expires_at, last_used_at)
  select k.id, k.account_id, case when k.n < 2 then k.id end, 'key ' || k.n,
         case when k.n < 2 then 'public_key' else 'api_token' end, (array['RS256', 'ES256'])[k.n + 1],
         case when k.n = 0 then 2048 end,
         case when k.n < 2 then translate(encode(sha256(uuid_send(gen_random_uuid())), 'base64'), '+/=', '-_') end,
         case k.n
           when 0 then jsonb_build_object('kty', 'RSA', 'e', 'AQAB', 'n', left(
             md5(k.id) || md5(k.id || 1) || md5(k.id || 2) || md5(k.id || 3) || md5(k.id || 4) || md5(k.id || 5)
             || md5(k.id || 6) || md5(k.id || 7) || md5(k.id || 8) || md5(k.id || 9) || md5(k.id || 0), 342))
           when 1 then jsonb_build_object('kty', 'EC', 'crv', 'P-256', 'x', left(md5(k.id) || md5(k.account_id), 43),
                                          'y', left(md5(k.account_id) || md5(k.id), 43))
         end,
         case when k.n = 2 then sha256(uuid_send(gen_random_uuid())) end,
         case when k.n = 2 then 'cs_' || left(md5(k.id), 4) || '…' end,
         'active', k.created_at, k.created_by, k.created_at,
         case when k.n = 2 then k.created_at + interval '1 year' end,
         case when k.n < 2 then k.created_at + random() * interval '1 day' end
  from (
    select pg_temp.made_id('key', (extract(epoch from a.created_at) * 1000)::bigint + n) as id, n,
           a.id as account_id, a.created_at, a.created_by
    from accounts a cross join generate_series(0, ${KEYS_PER_ACCOUNT - 1}) n
    where a.slug like 'made-%' order by a.id, n offset 0
  ) k`

const INSERT_PERMISSIONS = `
  insert into account_permissions
  select a.id, s.id, $2 from accounts a, resource_servers s where a.slug like 'made-%' and s.identifier = $1`

/** The months that the server has not made. */
async function createMonths(database: pg.Client, first: number, now: number): Promise<void> {
  const date = new Date(first)
  for (let month = date.getUTCMonth(); ; month++) {
    const from = new Date(Date.UTC(date.getUTCFullYear(), month))
    if (from.getTime() > now) return
    const to = new Date(Date.UTC(date.getUTCFullYear(), month + 1))
    const partition = `audit_events_${from.toISOString().slice(0, 7).replace('-', '')}`
    await database.query(
      `create table if not exists ${partition} partition of audit_events
       for values from ('${from.toISOString()}') to ('${to.toISOString()}')`,
    )
  }
}

/** After the events that are there already. */
const INSERT_EVENTS = `
  insert into audit_events (organization_id, id, at, actor_id, actor_kind, actor_name, action, target_id, target_kind,
                            target_name, changes, ip, user_agent, request_id, sequence, previous_hash, hash)
  select e.*, sha256(convert_to(e.id, 'UTF8')), sha256(convert_to(e.request_id, 'UTF8'))
  from (
    select a.organization_id, pg_temp.made_id('evt', a.ms) as id, a.created_at, a.created_by, 'service_account',
           'operator', 'service_account.created', a.id as target_id, 'service_account', a.name,
           jsonb_build_object('after', jsonb_build_object('name', a.name, 'slug', a.slug)), '203.0.113.7', 'curl/8.5.0',
           pg_temp.made_id('req', a.ms) as request_id,
           coalesce(h.sequence, 0) + row_number() over (partition by a.organization_id order by a.id)
    from (select *, (extract(epoch from created_at) * 1000)::bigint as ms from accounts
          where slug like 'made-%' offset 0) a
    left join audit_heads h on h.organization_id = a.organization_id
  ) e`

const MOVE_HEADS = `
  insert into audit_heads (organization_id, sequence, hash)
  select distinct on (organization_id) organization_id, sequence, hash from audit_events
  order by organization_id, sequence desc
  on conflict (organization_id) do update set sequence = excluded.sequence, hash = excluded.hash`
