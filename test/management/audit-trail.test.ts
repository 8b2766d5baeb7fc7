import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { newId } from '../../src/ids.ts'
import { createOrganization, request } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

type Event = {
  id: string
  at: string
  action: string
  actor: { id: string | null; kind: string; name: string }
  target: { id: string } | null
  changes: { after?: Record<string, unknown> } | null
  reason: string | null
  count: number | null
  request_id: string | null
  chain: unknown
}

let server: TestServer
let fixture: Fixture
let trail: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  trail = `/organizations/${fixture.organizationId}/audit-events`
  for (let round = 0; round < 8; round++) {
    await fixture.getToken()
    await must(server.api('PATCH', fixture.accountPath, { description: `round ${round}` }))
    await fixture.getToken({ scope: 'read' })
  }
})
afterAll(() => server.close())

const list = async (query = ''): Promise<Event[]> =>
  (await must(server.api('GET', `${trail}?limit=200${query}`))).items

describe('issued tokens stand in the trail', () => {
  test('among the changes, by time, and say all that is known of them', async () => {
    const requestId = 'a-token-of-mine'
    const answer = await server.post(
      '/oauth/token',
      { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: await fixture.assertion() },
      { 'x-request-id': requestId, 'user-agent': 'billing-sync/2.4' },
    )
    const { jti } = (await fixture.introspect(answer.body.access_token)).body
    const events = await list()
    expect(events[0]).toEqual({
      id: jti.replace('tok_', 'evt_'),
      at: expect.stringMatching(/Z$/),
      organization_id: fixture.organizationId,
      actor: { id: fixture.accountId, kind: 'service_account', name: expect.stringContaining('Account') },
      action: 'token.issued',
      target: { id: jti, kind: 'token', name: null },
      changes: {
        after: {
          key_id: fixture.keyId,
          resource_server_id: fixture.resourceServer.id,
          subject: fixture.accountId,
          scope: 'read write',
          token_format: 'jwt',
          expires_at: expect.stringMatching(/Z$/),
        },
      },
      reason: null,
      count: null,
      ip: expect.stringMatching(/127\.0\.0\.1$/),
      user_agent: 'billing-sync/2.4',
      request_id: requestId,
      chain: null,
    })
    const times = events.map((event) => event.at)
    expect(times).toEqual([...times].sort().reverse())
    const actions = events.slice(1, 10).map((event) => event.action)
    expect(new Set(actions)).toEqual(new Set(['token.issued', 'service_account.updated']))
  })

  test('or not, as the reader likes', async () => {
    const all = await list()
    const tokens = await list('&action=token.issued')
    const changes = await list('&include_tokens=false')
    expect(tokens.length).toBeGreaterThanOrEqual(16)
    expect(tokens.every((event) => event.action === 'token.issued' && event.chain === null)).toBe(true)
    expect(changes.every((event) => event.action !== 'token.issued' && event.chain !== null)).toBe(true)
    expect(tokens.length + changes.length).toBe(all.length)
    expect(await list('&action=token.issued&include_tokens=false')).toEqual(tokens)
  })

  test.each([1, 2, 3, 7])('page by page of %d, each once and in one order', async (limit) => {
    const whole = await list()
    const gathered: Event[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: { items: Event[]; next_cursor: string | null } = await must(
        server.api('GET', `${trail}?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`),
      )
      gathered.push(...page.items)
      cursor = page.next_cursor
    }
    expect(gathered).toEqual(whole)
  })

  test('by actor, target and time', async () => {
    const whole = await list()
    const byActor = await list(`&actor=${fixture.accountId}`)
    expect(byActor).toEqual(whole.filter((event) => event.actor.id === fixture.accountId))
    expect(byActor.length).toBeGreaterThan(10)
    const token = byActor[3] as Event
    expect(await list(`&target=${token.target?.id}`)).toEqual([token])
    expect(await list(`&target=${token.target?.id}&actor=acc_other`)).toEqual([])
    for (const { at } of [whole[5] as Event, whole[6] as Event, whole[12] as Event]) {
      expect(await list(`&from=${at}`)).toEqual(whole.filter((event) => event.at >= at))
      expect(await list(`&to=${at}`)).toEqual(whole.filter((event) => event.at < at))
    }
    expect(await list('&from=1969-01-01T00:00:00Z&to=9999-12-31T00:00:00Z')).toEqual(whole)
    expect(await list('&from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z')).toEqual(whole)
  })

  test('by the request, whoever chose its id', async () => {
    const own = await fixture.requestToken()
    const ownId = own.headers.get('x-request-id') ?? ''
    expect(ownId).toMatch(/^req_[0-9a-z]{36}$/)
    expect((await list(`&request_id=${ownId}`)).map((event) => event.action)).toEqual(['token.issued'])
    const chosen = await request(server, 'PATCH', fixture.accountPath, {
      token: await server.operatorToken(),
      headers: { 'x-request-id': 'ticket-4711' },
      body: { description: 'by ticket' },
    })
    expect(chosen.status).toBe(200)
    expect((await list('&request_id=ticket-4711')).map((event) => event.action)).toEqual([
      'service_account.updated',
    ])
    expect(await list('&request_id=nobody')).toEqual([])
  })

  test('by the end user for whom they were issued, and only those', async () => {
    const { accountId, organizationId, keyId, resourceServer } = fixture
    const id = newId('tok', server.clock.now())
    await server.connection.pool.query(
      `insert into grant_records (account_id, id, assertion_expires_at, organization_id, key_id, resource_server_id,
         subject, scope, token_format, token_generation, issued_at, expires_at, request_id)
       values ($1, $2, now(), $3, $4, $5, 'user-1', 'read', 'jwt', 0, now(), now(), 'r')`,
      [accountId, id, organizationId, keyId, resourceServer.id],
    )
    const found = await list('&subject=user-1')
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ actor: { id: accountId }, changes: { after: { subject: 'user-1' } } })
    expect(await list('&subject=user-2')).toEqual([])
    expect(await list(`&subject=${accountId}`)).toEqual([])
    expect(await list('&subject=user-1&action=key.created')).toEqual([])
  })

  test('of one organization alone', async () => {
    const { id } = await createOrganization(server)
    const { items } = await must(server.api('GET', `/organizations/${id}/audit-events?limit=200`))
    expect(items.map((event: Event) => event.action)).toEqual(['organization.created'])
  })
})

describe('every condition is read in the order of an index', () => {
  test.each([
    ['events of an organization', 'audit_events', `true`],
    ['by actor', 'audit_events', `actor_id = 'acc_x'`],
    ['by target', 'audit_events', `target_id = 'acc_x'`],
    ['by action', 'audit_events', `action = 'key.created'`],
    ['by request', 'audit_events', `request_id = 'x'`],
    ['tokens of an organization', 'grant_records', `true`],
    ['tokens of an account', 'grant_records', `account_id = 'acc_x'`],
    ['tokens for a subject', 'grant_records', `subject = 'user-1' and subject <> account_id`],
  ])('%s', async (_what, table, condition) => {
    const client = await server.connection.pool.connect()
    try {
      // Tables of a test are so small that reading them whole would be cheaper.
      await client.query('begin; set local enable_seqscan = off; set local enable_bitmapscan = off')
      const { rows } = await client.query(
        `explain (format json) select * from ${table}
         where organization_id = 'org_x' and ${condition} and id < 'zzz' order by id desc limit 51`,
      )
      const plan = JSON.stringify(rows[0]['QUERY PLAN'])
      expect(plan).toContain('Index Scan')
      expect(plan).not.toContain('Seq Scan')
      expect(plan).not.toContain('"Node Type":"Sort"')
    } finally {
      await client.query('rollback')
      client.release()
    }
  })
})

describe('refusals of an account', () => {
  test('beyond the first ten of a minute are counted, by reason, when the minute is over', async () => {
    const other = await server.createFixture({ algorithm: 'ES256' })
    const path = `/organizations/${other.organizationId}/audit-events?action=token.refused&limit=200`
    const refuse = async (claims: Record<string, unknown>) =>
      other.requestToken({ assertion: await other.assertion(claims) })
    for (let attempt = 0; attempt < 25; attempt++) await refuse({ aud: 'x' })
    for (let attempt = 0; attempt < 4; attempt++) await refuse({ exp: 1 })
    const stored: Event[] = await until(async () => {
      const { items } = await must(server.api('GET', path))
      return items.length >= 10 ? items : undefined
    })
    expect(stored).toHaveLength(10)
    for (const event of stored) expect(event).toMatchObject({ reason: 'audience_mismatch', count: null })

    server.clock.advance(61)
    await refuse({ aud: 'x' })
    const later: Event[] = await until(async () => {
      const { items } = await must(server.api('GET', path))
      return items.length >= 13 ? items : undefined
    })
    const counted = later.filter((event) => event.count !== null)
    expect(counted.map(({ reason, count }) => ({ reason, count })).sort(byCount)).toEqual([
      { reason: 'assertion_expired', count: 4 },
      { reason: 'audience_mismatch', count: 15 },
    ])
    for (const event of counted) {
      expect(event).toMatchObject({
        target: { id: other.accountId },
        actor: { kind: 'unknown' },
        request_id: null,
      })
    }
    expect(later.reduce((sum, event) => sum + (event.count ?? 1), 0)).toBe(30)
  })
})

function byCount(one: { count: number | null }, other: { count: number | null }): number {
  return (one.count ?? 0) - (other.count ?? 0)
}
