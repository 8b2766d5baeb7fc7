import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { readCatalogue } from '../../src/database/distribution.ts'
import { preparePartitions } from '../../src/database/partitions.ts'
import { newId } from '../../src/ids.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { ASKED, everyQuery, NOT_EXPLAINED, type QueryCall } from '../support/every-query.ts'
import { LARGE_DIRECTORY } from '../support/large-directory.ts'

/**
 * No query reads a table whole that grows with organizations, accounts or time. Every exported function of
 * src/database/queries/ is run, and PostgreSQL itself says how it ran each statement of it (auto_explain): also those
 * inside its functions, and those by which it checks foreign keys. Tables are filled and analyzed, and a call asks for a
 * small part of each, so that the planner reads one whole only where no index serves. Nothing is forbidden to it.
 */

/** What belongs to the platform, and neither to organizations nor to time. All others may not be read whole. */
const SMALL = [
  'resource_servers',
  'resource_server_keys',
  'resource_server_secrets',
  'permissions',
  'signing_keys',
  'set_up_link',
  'restorations',
  'tallied_days',
]
const NOW = Date.now()
const QUERIES = everyQuery(NOW)
const FOLDER = new URL('../../src/database/queries/', import.meta.url)

let database: TestDatabase
let connection: DatabaseConnection
/** What the sessions of the application were told since it was last emptied. */
let plans: Plan[] = []
/** Tables, and partitions of such, that the planner knows to be large. Those of coming days are empty. */
let full: string[] = []
beforeAll(async () => {
  database = await createTestDatabase()
  const admin = new pg.Client(database.address)
  await admin.connect()
  const filling = connectDatabase(database.address, { maxConnections: 2, onIdleError: () => undefined })
  await preparePartitions(filling.db, NOW)
  await filling.close()
  await fill(admin)
  full = (await admin.query('select relname from pg_class where reltuples >= $1', [FULL])).rows.map(
    ({ relname }) => relname,
  )
  for (const [name, value] of Object.entries(EXPLAINING)) {
    await admin.query(`alter database ${database.address.database} set ${name} = ${value}`)
  }
  await admin.end()
  connection = connectDatabase(database.address, { maxConnections: 4, onIdleError: () => undefined })
  for (const pool of connection.pools) {
    pool.on('connect', (client) => client.on('notice', ({ message }) => collect(message ?? '')))
  }
})
afterAll(async () => {
  await connection.close()
  await database.drop()
})

/** Each statement that ends tells its plan to the client, as JSON. */
const EXPLAINING = {
  session_preload_libraries: 'auto_explain',
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_nested_statements': 'on',
  'auto_explain.log_format': 'json',
  'auto_explain.log_level': 'notice',
}

type Node = {
  'Node Type': string
  'Relation Name'?: string
  'Index Cond'?: string
  'Recheck Cond'?: string
  Plans?: Node[]
}
type Plan = { 'Query Text': string; Plan: Node }

function collect(message: string): void {
  const start = message.indexOf('{')
  if (message.includes('plan:') && start !== -1) plans.push(JSON.parse(message.slice(start)))
}

describe('no table that grows is read whole by', () => {
  test.each(Object.keys(QUERIES))('%s', async (name) => {
    for (const call of QUERIES[name] ?? []) {
      await explain(call)
      expect(plans.length).toBeGreaterThan(0)
      expect(plans.flatMap(readWhole)).toEqual([])
    }
  })
})

// With 20 million of them the planner took what it had joined for less than a page, and read them all.
test('issued tokens are cut to a page before anything is joined to them', async () => {
  const calls = QUERIES['issued-tokens.listIssuedTokens'] ?? []
  expect(calls).not.toEqual([])
  for (const call of calls) {
    await explain(call)
    const limits = plans.flatMap(({ Plan }) => walk(Plan)).filter((node) => node['Node Type'] === 'Limit')
    const cut = limits.flatMap(walk).map((node) => node['Relation Name'] ?? '')
    expect(cut).toContainEqual(expect.stringMatching(/^grant_records_/))
    expect(cut).not.toContain('accounts')
  }
})

// With a million accounts the planner went through those of all organizations for a page of one. Here no key expires, so it
// would begin with the keys.
test('a review of service accounts reads the accounts of its organization, and their keys', async () => {
  const calls = QUERIES['accounts.listServiceAccounts'] ?? []
  expect(calls).not.toEqual([])
  for (const call of calls) {
    await explain(call)
    const nodes = plans.flatMap(({ Plan }) => walk(Plan))
    const conditionsOf = (table: string) =>
      nodes
        .filter((node) => node['Relation Name'] === table)
        .map((node) => node['Index Cond'] ?? node['Recheck Cond'] ?? 'none')
    expect(conditionsOf('accounts')).toEqual([expect.stringContaining('organization_id = ')])
    for (const condition of conditionsOf('keys')) expect(condition).toContain('account_id = ')
  }
})

test('every function of src/database/queries/ is among them, or it is said why not', async () => {
  const exported: string[] = []
  for (const file of await readdir(FOLDER)) {
    const module = await import(new URL(file, FOLDER).href)
    for (const [name, value] of Object.entries(module)) {
      if (typeof value === 'function') exported.push(`${file.replace('.ts', '')}.${name}`)
    }
  }
  expect([...Object.keys(QUERIES), ...Object.keys(NOT_EXPLAINED)].sort()).toEqual(exported.sort())
})

test('every table that grows is full', async () => {
  const tables = (await readCatalogue(connection.db)).map(({ name }) => name)
  const growing = tables.filter((name) => !SMALL.includes(name))
  expect(
    growing.filter((name) => !full.some((each) => each === name || each.startsWith(`${name}_2`))),
  ).toEqual([])
})

test('a table that is read whole is found, also inside of a function', async () => {
  plans = []
  await connection.pool.query(`
    do $$ begin perform count(*) from accounts where description = 'x'; end $$`)
  expect(plans.flatMap(readWhole)).toHaveLength(1)
})

/**
 * Runs a call, so that `plans` holds those of its statements; in a transaction that comes to nothing, so that every call
 * finds the same rows.
 */
async function explain(call: QueryCall): Promise<void> {
  plans = []
  const done = new Error('done')
  const transaction = connection.db.transaction().execute(async (trx) => {
    await call({ trx, db: connection.db, pool: connection.pool })
    throw done
  })
  await transaction.catch((error: unknown) => {
    if (error !== done) throw error
  })
}

/** The scans of tables that grow, with the statement that they serve. */
function readWhole(plan: Plan): string[] {
  return walk(plan.Plan)
    .filter((node) => node['Node Type'] === 'Seq Scan')
    .map((node) => node['Relation Name'] ?? '')
    .filter((table) => full.includes(table) && !SMALL.includes(table))
    .map((table) => `${table}: ${plan['Query Text'].replaceAll(/\s+/g, ' ')}`)
}

function walk(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(walk)]
}

/** Records come from all accounts, over the two partitions of days that there are before now. */
async function fill(client: pg.Client): Promise<void> {
  await client.query(LARGE_DIRECTORY)
  await client.query(MORE)
  const times = Array.from({ length: RECORDS }, (_, index) => NOW - ((index + 1) * 86_400_000) / RECORDS)
  await client.query(RECORDS_OF_TOKENS, [times.map((time) => newId('tok', Math.floor(time))), times])
  await client.query(RECORDS_OF_CHANGES, [times.map((time) => newId('evt', Math.floor(time))), times])
  await client.query('analyze')
}

const RECORDS = 20_000
/** Rows of a table that the planner may no longer take for small. */
const FULL = 1000

/** Organizations by the thousand; ten thousand administrators; a permission, with its role, that few have. */
const MORE = `
  insert into organizations (id, slug, name, status, settings, created_at, updated_at)
    select 'org_' || o, 'org-' || o, 'o', 'active', '{}', now(), now() from generate_series(1000, 4999) o;
  insert into accounts (id, organization_id, kind, name, slug, email, description, status, assertion_policy,
                        created_at, created_by, updated_at, owner_contact)
    select 'adm_' || a, 'org_' || a % 1000, 'administrator', 'a', null, 'adm' || a || '@example.test', '', 'active',
           '{}', now(), 'system', now(), 'somebody'
    from generate_series(1, 10000) a;
  update accounts set owner_contact = 'somebody' where kind = 'service_account' and right(id, 2) <> '07';
  update accounts set groups_administrator = 'viewer' where id like 'acc_1_07';
  insert into administrator_credentials select 'adm_' || a, 'h', now(), 'w' from generate_series(1, 10000) a;
  insert into recovery_codes select 'adm_' || a, convert_to('code ' || c, 'UTF8')
    from generate_series(1, 10000) a, generate_series(1, 2) c;
  insert into invitations
    select 'adm_' || a, sha256(convert_to('invitation ' || a, 'UTF8')), now(), now(), 'system'
    from generate_series(1, 10000) a;
  insert into openid_identities
    select 'adm_' || a, 'org_' || a % 1000, 'https://idp.example', 's' || a, now() from generate_series(1, 10000) a;
  insert into sessions (id, account_id, digest, method, awaits_second_factor, token_generation, created_at, expires_at,
                        last_seen_at, ip)
    select 'ses_' || s, 'adm_' || s, sha256(convert_to('session ' || s, 'UTF8')), 'password', false, 0,
           now(), now() + interval '1 hour', now(), '203.0.113.7'
    from generate_series(1, 10000) s;
  insert into identity_providers
    select id, 'https://idp.example', 'c', null, '{}', now(), now() from organizations;
  insert into audit_heads select id, 200, sha256('h') from organizations;
  insert into audit_anchors select id, n, n, sha256('h'), sha256('h'), now() from organizations, generate_series(1, 4) n;
  insert into resource_servers (id, identifier, name, token_format, signing_algorithm, token_lifetime_seconds,
                                created_at, updated_at)
    values ('${ASKED.resourceServer}', 'https://few.example', 'r', 'jwt', 'ES256', 900, now(), now());
  insert into permissions values ('${ASKED.resourceServer}', '${ASKED.permission}', '');
  insert into account_permissions
    select 'acc_' || a, '${ASKED.resourceServer}', '${ASKED.permission}' from generate_series(1, 20) a;
  insert into role_permissions values ('role_9', '${ASKED.resourceServer}', '${ASKED.permission}');
  insert into keys (id, account_id, name, type, secret_digest, obfuscated_token, status, created_at, created_by,
                    updated_at)
    select 'key_secret_' || a, 'acc_' || a, 'k', 'api_token', sha256(convert_to('secret ' || a, 'UTF8')), 'o', 'active',
           now(), 'system', now()
    from generate_series(1, 10000) a;
  insert into used_jtis select 'acc_' || n % 10000, sha256(convert_to('jti ' || n, 'UTF8')), now()
    from generate_series(1, 20000) n;
  insert into token_tallies (account_id, day, key_id, tokens)
    select 'acc_' || n, date_trunc('day', now()), 'key_' || n, 7 from generate_series(1, 10000) n;
  insert into token_request_counts select 'acc_' || n, now(), 1 from generate_series(1, 10000) n;`

const RECORDS_OF_TOKENS = `
  insert into grant_records (account_id, id, assertion_expires_at, jti, organization_id, key_id, resource_server_id,
                             subject, scope, token_format, token_digest, token_generation, issued_at, expires_at,
                             request_id)
  select 'acc_' || a, t.id, to_timestamp(t.ms / 1000), 'j' || t.n, 'org_' || a % 1000, 'key_' || a, 'rs_1',
         case when n % 2 = 0 then 'acc_' || a else 'user-' || n end, 'p1', 'opaque', convert_to('digest ' || t.n, 'UTF8'), 0,
         to_timestamp(t.ms / 1000), to_timestamp(t.ms / 1000 + 900), 'req_' || t.n
  from unnest($1::text[], $2::float8[]) with ordinality as t (id, ms, n),
       lateral (select t.n % 10000 + 1 as a) of_account`

const RECORDS_OF_CHANGES = `
  insert into audit_events (organization_id, id, at, actor_id, actor_kind, actor_name, action, target_id, target_kind,
                            target_name, request_id, sequence, previous_hash, hash)
  select 'org_' || n % 1000, t.id, to_timestamp(t.ms / 1000), 'adm_' || n % 10000, 'administrator', 'a',
         case when n % 50 = 0 then 'key.revoked' else 'key.created' end, 'acc_' || n % 10000, 'service_account', 'a',
         'req_' || t.n, t.n, sha256('h'), sha256('h')
  from unnest($1::text[], $2::float8[]) with ordinality as t (id, ms, n)`
