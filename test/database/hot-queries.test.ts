import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { preparePartitions } from '../../src/database/partitions.ts'
import { findApiTokens } from '../../src/database/queries/api-tokens.ts'
import { findTokens, type NewGrantRecord, recordGrants } from '../../src/database/queries/grant-records.ts'
import { findMemberships } from '../../src/database/queries/groups.ts'
import { findIntrospectionCallers } from '../../src/database/queries/introspection-callers.ts'
import { findIssuers } from '../../src/database/queries/issuers.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { LARGE_DIRECTORY } from '../support/large-directory.ts'

/** Tables that grow with the number of accounts: read whole, they would make every request slower. */
const GROWING = [
  'accounts',
  'account_permissions',
  'account_roles',
  'account_groups',
  'role_permissions',
  'groups',
  'keys',
]
const NOW = Date.now()

/** One look-up may meet this many rows of a table: what an account has, and no more. */
const FEW_ROWS = 25

let database: TestDatabase
let connection: DatabaseConnection
/** The one connection of batched statements. */
let client: pg.PoolClient
beforeAll(async () => {
  database = await createTestDatabase()
  connection = connectDatabase(database.address, { maxConnections: 2, onIdleError: () => undefined })
  client = await connection.pool.connect()
  await preparePartitions(connection.db, NOW)
  await client.query(WITHOUT_STATISTICS)
  for (const [, run] of QUERIES) {
    for (let time = 0; time < 10; time++) await run(client as never, 1)
  }
  // Records nothing: there is no such account yet.
  for (let time = 0; time < 10; time++) await recordGrants(client as never, NOW, [GRANT])
  await seed()
})
afterAll(async () => {
  client.release()
  await connection.close()
  await database.drop()
})

/** Without the limits of time that batched statements have. */
async function seed(): Promise<void> {
  const seeder = new pg.Client(database.address)
  await seeder.connect()
  await seeder.query(SEED)
  await seeder.end()
}

/** As in the first minute of an installation, and of each partition, before PostgreSQL comes to look at it. */
const WITHOUT_STATISTICS = `
  do $$ declare name text; begin
    for name in select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop
      execute format('alter table %I set (autovacuum_enabled = false)', name);
    end loop;
  end $$`

/** One of ten thousand accounts has got many tokens. */
const SEED = `
  ${LARGE_DIRECTORY}
  insert into grant_records (account_id, id, assertion_expires_at, jti, organization_id, key_id, resource_server_id,
                             subject, scope, token_format, token_digest, token_generation, issued_at, expires_at,
                             request_id)
    select 'acc_1', 'tok_' || t, now(), 'j' || t, 'org_1', 'key_1', 'rs_1', 'acc_1', 'p1', 'opaque',
           convert_to('digest ' || t, 'UTF8'), 0, now(), now() + interval '15 minutes', 'r'
    from generate_series(1, 5000) t;`

const GRANT: NewGrantRecord = {
  id: '',
  accountId: 'acc_1',
  keyId: 'key_1',
  jti: null,
  assertionExpiresAt: NOW,
  resourceServerId: 'rs_1',
  subject: 'acc_1',
  scope: 'p1',
  tokenFormat: 'jwt',
  tokenDigest: null,
  issuedAt: NOW,
  expiresAt: NOW + 900_000,
  clientIp: null,
  userAgent: null,
  requestId: 'req_1',
  quota: null,
  confirmation: null,
  proof: null,
  signingAlgorithm: 'ES256',
}

type Statement = { name: string; text: string; values: unknown[] }

/** What a query sends, caught on its way to the database, so that its plan can be asked for. */
async function statementOf(run: (pool: pg.Pool) => Promise<unknown>): Promise<Statement> {
  const sent: Statement[] = []
  await run({ query: async (statement: Statement) => ({ rows: [], sent: sent.push(statement) }) } as never)
  return sent[0] as Statement
}

const lookups = (size: number) => Array.from({ length: size }, (_, index) => index + 1)
const QUERIES: [string, (pool: pg.Pool, size: number) => Promise<unknown>][] = [
  [
    'the issuers of assertions',
    (pool, size) =>
      findIssuers(
        pool,
        lookups(size).map((n) => ({
          issuer: n % 2 === 0 ? `acc_${n}` : `a${n}@example.test`,
          kid: n % 3 === 0 ? undefined : `key_${n}`,
          subject: n % 5 === 0 ? `user-${n}@example.test` : undefined,
          now: NOW,
        })),
      ),
  ],
  [
    'JWT access tokens',
    (pool, size) =>
      findTokens(
        pool,
        NOW,
        lookups(size).map((n) => ({ accountId: 'acc_1', id: `tok_${n}`, signingKeyId: 'sig_1' })),
      ),
  ],
  [
    'opaque access tokens',
    (pool, size) =>
      findTokens(
        pool,
        NOW,
        lookups(size).map((n) => ({ digest: Buffer.from(`digest ${n}`) })),
      ),
  ],
  [
    'API tokens',
    (pool, size) =>
      findApiTokens(
        pool,
        NOW,
        lookups(size).map((n) => ({
          keyId: `key_${n}`,
          digest: Buffer.from(`digest ${n}`),
          resourceServer: `rs_${n % 10}`,
          ip: null,
          userAgent: null,
        })),
      ),
  ],
  [
    'secrets of resource servers',
    (pool, size) =>
      findIntrospectionCallers(
        pool,
        lookups(size).map((n) => ({
          named: { id: `rs_${n}` },
          digest: Buffer.from(`digest ${n}`),
          now: NOW,
        })),
      ),
  ],
  [
    'the groups of accounts',
    (pool, size) =>
      findMemberships(
        pool,
        lookups(size).map((n) => `acc_${n}`),
        51,
      ),
  ],
]

test.each(QUERIES)(
  '%s are looked up row by row, also by a plan from when the tables were empty',
  async (_what, run) => {
    const { name, values } = await statementOf((pool) => run(pool, 1))
    const execute = `execute "${name}" (${values.map(literal).join(', ')})`
    expect(scansOf(await client.query(`explain (analyze, format json) ${execute}`))).toEqual([])
  },
)

test('a grant is recorded by looking its key, account and organization up', async () => {
  const record = (id: string) =>
    recordGrants(client as never, NOW, [{ ...GRANT, id, jti: id, signingAlgorithm: 'ES256' }])
  await client.query('begin')
  expect(await record('tok_recorded')).toMatchObject([{ outcome: 'recorded' }])
  const { rows } = await client.query(
    `select relname, seq_tup_read::int as scanned, idx_tup_fetch::int as fetched from pg_stat_xact_user_tables
     where relname in ('keys', 'accounts', 'organizations')`,
  )
  await client.query('commit')
  expect(rows).toHaveLength(3)
  for (const row of rows)
    expect({ ...row, few: row.scanned + row.fetched <= FEW_ROWS }).toMatchObject({ few: true })
})

test.each(QUERIES)('a batch of %s reads no table whole that grows with the accounts', async (_what, run) => {
  await client.query('analyze')
  const { text } = await statementOf((pool) => run(pool, 1))
  expect(tablesReadWhole(await client.query(`explain (generic_plan, format json) ${text}`))).toEqual([])
  for (const size of [1, 20]) {
    const { values } = await statementOf((pool) => run(pool, size))
    const plan = await client.query(`explain (format json) ${text}`, values)
    expect({ size, whole: tablesReadWhole(plan) }).toEqual({ size, whole: [] })
  }
})

test('what a role gives is found by the account, in indexes alone', async () => {
  const plan = await client.query(
    'explain (format json) select * from effective_permissions where account_id = $1',
    ['acc_77'],
  )
  const nodes = JSON.stringify(plan.rows[0]['QUERY PLAN']).match(/"Node Type":"[^"]+"/g) ?? []
  expect(nodes.filter((node) => node.includes('Scan')).every((node) => /Index|Bitmap/.test(node))).toBe(true)
  expect(tablesReadWhole(plan)).toEqual([])
})

function literal(value: unknown): string {
  const text = Array.isArray(value) ? `{${value.map((item) => JSON.stringify(inSql(item))).join()}}` : value
  return client.escapeLiteral(String(text))
}

function inSql(item: unknown): unknown {
  return Buffer.isBuffer(item) ? `\\x${item.toString('hex')}` : item
}

/** The scans of a table that have read more rows than one look-up may. */
function scansOf(result: pg.QueryResult): string[] {
  const [{ Plan: top }] = result.rows[0]['QUERY PLAN'] as [{ Plan: PlanNode }]
  return walk(top)
    .filter((node) => node['Relation Name'] !== undefined && rowsRead(node) > FEW_ROWS)
    .map((node) => `${rowsRead(node)} rows of ${node['Relation Name']} by ${node['Index Name']}`)
}

function rowsRead(node: PlanNode): number {
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)
  return (node['Actual Rows'] ?? 0) + removed
}

type PlanNode = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows'?: number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: PlanNode[]
}

function tablesReadWhole(result: pg.QueryResult): string[] {
  const [{ Plan: top }] = result.rows[0]['QUERY PLAN'] as [{ Plan: PlanNode }]
  return walk(top)
    .filter((node) => node['Node Type'] === 'Seq Scan')
    .map((node) => node['Relation Name'] ?? '')
    .filter((name) => GROWING.includes(name))
}

function walk(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(walk)]
}
