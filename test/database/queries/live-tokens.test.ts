import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely'
import {
  countLiveTokensOfOrganization,
  countLiveTokensOfResourceServer,
  countLiveTokensOfSigningKey,
} from '../../../src/database/queries/live-tokens.ts'
import type { Database } from '../../../src/database/tables.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../../support/server.ts'

let server: TestServer
let one: Fixture
let other: Fixture
beforeAll(async () => {
  server = await startTestServer()
  one = await server.createFixture({ signingAlgorithm: 'EdDSA' })
  other = await server.createFixture({ signingAlgorithm: 'RS256' })
})
afterAll(() => server.close())

const ofOrganization = ({ organizationId }: Fixture) =>
  countLiveTokensOfOrganization(server.connection.db, organizationId, server.clock.now())
const ofServer = ({ resourceServer }: Fixture) =>
  countLiveTokensOfResourceServer(server.connection.db, resourceServer.id, server.clock.now())

async function ofSigningKey(algorithm: string, status: string) {
  const { items } = await must(server.api('GET', '/signing-keys?limit=200'))
  const key = items.find(
    (each: { algorithm: string; status: string }) => each.algorithm === algorithm && each.status === status,
  )
  const toDate = (text: string | null) => (text === null ? null : new Date(text))
  const period = {
    algorithm: key.algorithm,
    activatedAt: toDate(key.activated_at),
    retiredAt: toDate(key.retired_at),
  }
  return countLiveTokensOfSigningKey(server.connection.db, period, server.clock.now())
}

const some = (tokens: number) => ({ tokens, isMore: false })

test('tokens count where they belong, and no more once they are expired, revoked or without any scope', async () => {
  const token = await one.getToken()
  await one.getToken()
  await other.getToken()
  expect(await Promise.all([ofOrganization(one), ofServer(one), ofSigningKey('EdDSA', 'active')])).toEqual([
    some(2),
    some(2),
    some(2),
  ])
  expect(
    await Promise.all([ofOrganization(other), ofServer(other), ofSigningKey('RS256', 'active')]),
  ).toEqual([some(1), some(1), some(1)])
  const { jti } = (await one.introspect(token)).body
  await must(server.api('DELETE', `${one.accountPath}/tokens/${jti}`))
  expect(await ofServer(one)).toEqual(some(1))
  await must(server.api('PATCH', one.accountPath, { permissions: [] }))
  expect(await ofOrganization(one)).toEqual(some(0))
  server.clock.advance(901)
  expect(await ofServer(other)).toEqual(some(0))
})

test('tokens are those of the key that signed them, before and after a rotation', async () => {
  await must(
    server.api('PATCH', `/resource-servers/${other.resourceServer.id}`, { token_lifetime_seconds: 86_400 }),
  )
  await other.getToken()
  expect(await ofSigningKey('RS256', 'next')).toEqual(some(0))
  server.clock.advance(4_000)
  await must(server.api('POST', '/signing-keys/rotate'))
  await other.getToken()
  await other.getToken()
  expect(await ofSigningKey('RS256', 'retiring')).toEqual(some(1))
  expect(await ofSigningKey('RS256', 'active')).toEqual(some(2))
})

test('records are found by index, however many there are', async () => {
  const { pool } = server.connection
  await pool.query(SEED, [new Date(server.clock.now())])
  await pool.query('analyze grant_records')
  const statements: { sql: string; parameters: readonly unknown[] }[] = []
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
    log: ({ query }) => void statements.push(query),
  })
  const now = server.clock.now()
  const day = new Date(now).toISOString().slice(0, 10).replaceAll('-', '')
  const period = { algorithm: 'EdDSA', activatedAt: new Date(0), retiredAt: null } as const
  expect(await countLiveTokensOfOrganization(db, one.organizationId, now)).toEqual(some(0))
  await countLiveTokensOfResourceServer(db, one.resourceServer.id, now)
  await countLiveTokensOfSigningKey(db, period, now)
  expect(statements).toHaveLength(6)
  for (const { sql, parameters } of statements) {
    const { rows } = await pool.query(`explain (format json) ${sql}`, [...parameters])
    const plan = JSON.stringify(rows[0]['QUERY PLAN'])
    expect(plan).toContain('grant_records')
    // Partitions of other days are empty, and read as they are.
    expect(plan).not.toMatch(new RegExp(`"Node Type":"Seq Scan"[^{}]*"Relation Name":"grant_records_${day}"`))
  }
})

/** Thirty thousand records of now, of accounts that nobody asks for. */
const SEED = `
  insert into grant_records (account_id, id, assertion_expires_at, organization_id, key_id, resource_server_id, subject,
                             scope, token_format, token_generation, issued_at, expires_at, request_id)
  select 'acc_' || n % 1000, 'tok_01m8' || lpad(n::text, 32, '0'), $1::timestamptz,
         'org_' || n % 100, 'key_' || n % 1000, 'rs_' || n % 10, 'acc_' || n % 1000, 'read', 'jwt', 0, $1,
         $1::timestamptz + interval '900 seconds', 'test'
  from generate_series(1, 30000) n`
