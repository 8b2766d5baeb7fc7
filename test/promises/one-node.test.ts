import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { eventually } from '../support/eventually.ts'
import { createKeyPair, signCompact } from '../support/jwt.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

describe('a garbage assertion never burns a jti (promise 2)', () => {
  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['another audience', { aud: 'https://elsewhere.example' }, {}],
    ['expired', { exp: 1 }, {}],
    ['another kid', {}, { kid: 'key_unknown' }],
    ['an unknown scope', { scope: 'nosuch' }, {}],
  ])('%s', async (_name, claims, header) => {
    const jti = crypto.randomUUID()
    const bad = await fixture.requestToken({ assertion: await fixture.assertion({ jti, ...claims }, header) })
    expect(bad.status).toBe(400)
    const good = await fixture.requestToken({ assertion: await fixture.assertion({ jti }) })
    expect(good.status).toBe(200)
  })

  test('two accounts may use the same jti', async () => {
    const other = await server.createFixture()
    const jti = crypto.randomUUID()
    expect((await fixture.requestToken({ assertion: await fixture.assertion({ jti }) })).status).toBe(200)
    expect((await other.requestToken({ assertion: await other.assertion({ jti }) })).status).toBe(200)
  })
})

test('a private key, a secret and a token are in no column of any table (promise 4)', async () => {
  const { key_file: keyFile } = await must(server.api('POST', `${fixture.accountPath}/keys`, { type: 'rsa' }))
  const opaque = await server.createFixture({ tokenFormat: 'opaque' })
  const secrets = [
    keyFile.private_key.split('\n')[5],
    await fixture.getToken(),
    await opaque.getToken(),
    fixture.resourceServer.secret,
    await server.operatorToken(),
  ]
  const { rows: tables } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public'`.execute(server.connection.db)
  expect(tables.length).toBeGreaterThan(10)
  for (const { name } of tables) {
    const { rows } = await sql<{ text: string }>`select t::text as text from ${sql.table(name)} t`.execute(
      server.connection.db,
    )
    for (const { text } of rows) {
      for (const secret of secrets) {
        expect(text.includes(secret)).toBe(false)
        expect(text.includes(Buffer.from(secret).toString('hex'))).toBe(false)
      }
      expect(text).not.toMatch(/PRIVATE KEY/)
    }
  }
})

describe('every refusal has two voices (promise 5)', () => {
  test('the caller hears a safe text, the operator the exact reason under the same id in log, metric and trail', async () => {
    const requestId = `two-voices-${Date.now()}`
    const answer = await server.post(
      '/oauth/token',
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: await fixture.assertion({ aud: 'https://elsewhere.example' }),
      },
      { 'x-request-id': requestId },
    )
    expect(answer.status).toBe(400)
    expect(answer.headers.get('x-request-id')).toBe(requestId)
    expect(answer.body.error).toBe('invalid_grant')
    expect(answer.text).not.toContain('elsewhere')

    const line = server.logs().find((entry) => entry.requestId === requestId)
    expect(line).toMatchObject({
      reason: 'audience_mismatch',
      detail: {
        accountId: fixture.accountId,
        received: 'https://elsewhere.example',
        expected: [server.issuer, server.tokenEndpoint],
      },
    })
    const counter = await server.metrics.registry.getSingleMetricAsString('countersign_refusals_total')
    expect(counter).toMatch(/endpoint="token",reason="audience_mismatch"} [1-9]/)
    expect(await findAuditEvent(requestId)).toMatchObject({
      action: 'token.refused',
      reason: 'audience_mismatch',
      actor: { kind: 'unknown' },
      target: { id: fixture.accountId, kind: 'service_account' },
    })
  })

  test('the clock offset of an expired assertion is told to the operator', async () => {
    const now = Math.floor(server.clock.now() / 1000)
    const answer = await fixture.requestToken({
      assertion: await fixture.assertion({ iat: now - 400, exp: now - 100 }),
    })
    const line = server.logs().find((entry) => entry.requestId === answer.headers.get('x-request-id'))
    expect(line).toMatchObject({ reason: 'assertion_expired', detail: { exp: now - 100 } })
  })

  test('the trail keeps a bounded number of refusals of one account', async () => {
    const other = await server.createFixture()
    for (let attempt = 0; attempt < 30; attempt++) {
      await other.requestToken({ assertion: await other.assertion({ aud: 'x' }) })
    }
    await eventually(async () => {
      const { items } = await must(
        server.api(
          'GET',
          `/organizations/${other.organizationId}/audit-events?action=token.refused&limit=200`,
        ),
      )
      expect(items).toHaveLength(10)
    })
  })

  async function findAuditEvent(requestId: string) {
    return eventually(async () => {
      const { items } = await must(
        server.api('GET', `/organizations/${fixture.organizationId}/audit-events?action=token.refused`),
      )
      const found = items.find((event: { request_id: string }) => event.request_id === requestId)
      expect(found).toBeDefined()
      return found
    })
  }
})

describe('lineage (promise 10)', () => {
  test('disabling a key ends exactly its tokens', async () => {
    const keyPair = await createKeyPair('ES256')
    const { key } = await must(
      server.api('POST', `${fixture.accountPath}/keys`, {
        type: 'public_key',
        public_key: keyPair.publicJwk,
      }),
    )
    const assertion = await signCompact({ alg: 'ES256', kid: key.id }, fixture.claims(), keyPair.privateKey)
    const ended = (await fixture.requestToken({ assertion })).body.access_token
    const kept = await fixture.getToken()
    expect((await fixture.introspect(ended)).body).toMatchObject({ active: true, key_id: key.id })

    await must(server.api('PATCH', `${fixture.accountPath}/keys/${key.id}`, { status: 'disabled' }))
    expect((await fixture.introspect(ended)).body).toEqual({ active: false })
    expect((await fixture.introspect(kept)).body).toMatchObject({ active: true, key_id: fixture.keyId })
  })
})

describe('storage is bounded (promise 6)', () => {
  test('partitions are made ahead, dropped whole after their time, and live tokens outlast it', async () => {
    const before = await partitions()
    expect(before.filter((name) => name.startsWith('grant_records_')).length).toBe(5)
    for (let day = 0; day < 45; day++) {
      server.clock.advance(86_400)
      await server.maintain()
      const token = await fixture.getToken()
      expect((await fixture.introspect(token)).body.active).toBe(true)
    }
    const after = (await partitions()).filter((name) => name.startsWith('grant_records_'))
    expect(after.length).toBeLessThanOrEqual(30 + 1 + 3 + 1)
    expect(after).not.toContain(before[0])
    const { rows } = await sql<{ count: number }>`select count(*)::int as count from grant_records`.execute(
      server.connection.db,
    )
    expect(rows[0]?.count).toBeGreaterThan(28)
    expect(rows[0]?.count).toBeLessThan(120)
  })

  test('a token look-up touches the same few partitions however many there are', async () => {
    const now = server.clock.now()
    const bounds = [new Date(now - 25 * 3_600_000).toISOString(), new Date(now + 2 * 3_600_000).toISOString()]
    await server.connection.pool.query('set plan_cache_mode = force_generic_plan')
    const { rows } = await server.connection.pool.query(
      `explain (analyze, format json) select * from grant_records where token_digest = $3 and assertion_expires_at between $1 and $2`,
      [...bounds, Buffer.from('x')],
    )
    const scanned = JSON.stringify(rows[0]['QUERY PLAN']).match(/"Relation Name":"grant_records_\d+"/g) ?? []
    expect(new Set(scanned).size).toBeLessThanOrEqual(3)
  })

  async function partitions(): Promise<string[]> {
    const { rows } = await sql<{ name: string }>`
      select inhrelid::regclass::text as name from pg_inherits
      where inhparent = any (array['grant_records'::regclass, 'audit_events'::regclass]) order by 1`.execute(
      server.connection.db,
    )
    return rows.map((row) => row.name)
  }
})
