import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { type Kysely, sql } from 'kysely'
import { canonicalize } from '../../src/database/audit-chain.ts'
import { connectDatabase } from '../../src/database/connect.ts'
import { noteAuditEvents } from '../../src/database/noted-events.ts'
import { maintainPartitions } from '../../src/database/partitions.ts'
import type { NewAuditEvent } from '../../src/database/queries/audit-chain.ts'
import { transact } from '../../src/database/transaction.ts'
import { type ChainReport, verifyChains } from '../../src/directory/audit-verification.ts'
import { createTestDatabase } from '../support/database.ts'
import { createOrganization } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let organization: { id: string; slug: string }
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const query = async (text: string, values: unknown[] = []) =>
  (await server.connection.pool.query(text, values)).rows
const verify = async (slug: string) => (await collect(slug))[0] as ChainReport
const collect = async (slug?: string) => {
  const reports: ChainReport[] = []
  for await (const report of verifyChains(server.connection.db, slug)) reports.push(report)
  return reports
}
const eventAt = async (sequence: number): Promise<{ id: string }> =>
  (
    await query('select * from audit_events where organization_id = $1 and sequence = $2', [
      organization.id,
      sequence,
    ])
  )[0]

test('a chain that nobody touched holds, whatever was changed', async () => {
  const fixture = await server.createFixture()
  await must(server.api('PATCH', fixture.accountPath, { description: 'Ünïcödé \u007f \u2028 "q" \\ / 𝒳' }))
  await must(server.api('POST', `${fixture.accountPath}/keys`, { type: 'rsa' }))
  await must(server.api('DELETE', fixture.accountPath))
  const reports = await collect()
  expect(reports.length).toBeGreaterThan(1)
  for (const report of reports) {
    expect(report.break).toBeUndefined()
    expect(report.events).toBeGreaterThan(0)
    expect(report.first?.sequence).toBe(1)
    expect(report.last?.sequence).toBe(report.events)
  }
})

test('anybody can recompute the chain from what the API shows', async () => {
  const fixture = await server.createFixture()
  await must(server.api('PATCH', fixture.accountPath, { owner_contact: 'Zoë', permissions: [] }))
  const { items } = await must(
    server.api('GET', `/organizations/${fixture.organizationId}/audit-events?include_tokens=false&limit=200`),
  )
  let previous = '0'.repeat(64)
  for (const [index, { chain, ...event }] of items.toReversed().entries()) {
    const { hash, ...place } = chain
    expect(place).toEqual({ sequence: index + 1, previous_hash: previous })
    const text = JSON.stringify(sortMembers({ ...event, chain: place }))
    expect(createHash('sha256').update(text).digest('hex')).toBe(hash)
    previous = hash
  }
  expect(items.length).toBeGreaterThan(2)
})

test('canonical JSON is that of RFC 8785, 3.2.2 and 3.2.3', () => {
  const value = {
    numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0],
    string: '\u20ac$\u000f\u000aA\'\u0042\u0022\u005c\\"/',
    literals: [null, true, false],
    '\u20ac': 1,
    '\r': 2,
    '\ufb33': 3,
    '1': 4,
    '\u{1f600}': 5,
    '\u0080': 6,
    '\u00f6': 7,
  }
  expect(canonicalize(value)).toBe(
    '{"\\r":2,"1":4,"literals":[null,true,false],' +
      '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],' +
      '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/","\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
  )
})

describe('tampering in the database is found and named:', () => {
  const EVENTS = 8
  beforeAll(async () => {
    // Not on the first day of a month, when nodes may still disagree about which month it is.
    if (new Date(server.clock.now()).getUTCDate() === 1) server.clock.advance(86_400)
    organization = await createOrganization(server)
    for (let number = 2; number <= EVENTS; number++) {
      await must(server.api('PATCH', `/organizations/${organization.id}`, { name: `Name ${number}` }))
    }
  })
  beforeEach(async () => {
    await query('create table kept_events as select * from audit_events')
    await query('create table kept_heads as select * from audit_heads')
  })
  afterEach(async () => {
    await query('delete from audit_events')
    await query('insert into audit_events select * from kept_events')
    await query('delete from audit_heads')
    await query('insert into audit_heads select * from kept_heads')
    await query('delete from audit_anchors')
    await query('drop table kept_events, kept_heads')
    expect((await verify(organization.slug)).break).toBeUndefined()
  })

  test.each([
    ['a name', `actor_name = 'somebody else'`],
    ['a time', `at = at + interval '1 second'`],
    ['an address', `ip = '192.0.2.1'`],
    ['an action', `action = 'organization.created'`],
    ['a member of changes', `changes = jsonb_set(changes, '{after,name}', '"Acme"')`],
    ['changes, taken away', 'changes = null'],
    ['a count', 'count = 7'],
    ['an id', `id = 'evt_' || repeat('0', 36)`],
    ['a request id', 'request_id = null'],
  ])('%s is changed', async (_what, change) => {
    const { id } = await eventAt(5)
    await query(`update audit_events set ${change} where organization_id = $1 and sequence = 5`, [
      organization.id,
    ])
    const report = await verify(organization.slug)
    expect(report.break).toMatchObject({ fault: 'content_changed', sequence: 5 })
    if (!change.startsWith('id')) expect(report.break?.eventId).toBe(id)
    expect(report.events).toBe(4)
  })

  test('an event in the middle is deleted', async () => {
    await query('delete from audit_events where organization_id = $1 and sequence = 5', [organization.id])
    expect((await verify(organization.slug)).break).toMatchObject({
      fault: 'event_missing',
      sequence: 5,
      detail: 'missing: sequence 5',
    })
  })

  test('the first events are deleted', async () => {
    await query('delete from audit_events where organization_id = $1 and sequence < 4', [organization.id])
    expect((await verify(organization.slug)).break).toMatchObject({
      fault: 'event_missing',
      sequence: 1,
      detail: 'missing: sequences 1 to 3',
    })
  })

  test('the newest events are deleted', async () => {
    await query('delete from audit_events where organization_id = $1 and sequence > 6', [organization.id])
    const report = await verify(organization.slug)
    expect(report.break).toMatchObject({
      fault: 'event_missing',
      sequence: 7,
      detail: 'missing: sequences 7 to 8, the newest',
    })
    expect(report.events).toBe(6)
  })

  test('all events are deleted', async () => {
    await query('delete from audit_events where organization_id = $1', [organization.id])
    expect((await verify(organization.slug)).break).toMatchObject({ fault: 'event_missing', sequence: 1 })
  })

  test('all events and the head are deleted', async () => {
    await query('delete from audit_events where organization_id = $1', [organization.id])
    await query('delete from audit_heads where organization_id = $1', [organization.id])
    expect((await verify(organization.slug)).break).toMatchObject({ fault: 'head_missing' })
  })

  test('an event is deleted and the later ones are moved up', async () => {
    await query('delete from audit_events where organization_id = $1 and sequence = 5', [organization.id])
    await query(
      'update audit_events set sequence = sequence - 1 where organization_id = $1 and sequence > 5',
      [organization.id],
    )
    await query('update audit_heads set sequence = sequence - 1 where organization_id = $1', [
      organization.id,
    ])
    expect((await verify(organization.slug)).break).toMatchObject({
      fault: 'event_moved',
      sequence: 5,
      detail: 'it was written as sequence 6',
    })
  })

  test('an event is inserted under a sequence that is taken, before or after the true one', async () => {
    for (const shift of ['-1 second', '1 second']) {
      await insertCopy(5, { sequence: 5, at: `at + interval '${shift}'`, id: `'evt_' || repeat('1', 36)` })
      const report = await verify(organization.slug)
      expect(report.break).toMatchObject({ fault: 'event_inserted', sequence: 5 })
      await query(`delete from audit_events where id = 'evt_' || repeat('1', 36)`)
    }
  })

  test('an event is inserted after the newest', async () => {
    await insertCopy(8, { sequence: 9, at: 'at', id: `'evt_' || repeat('1', 36)` })
    expect((await verify(organization.slug)).break).toMatchObject({
      fault: 'event_inserted',
      sequence: 9,
      eventId: `evt_${'1'.repeat(36)}`,
    })
  })

  test('an event is inserted and the later ones are moved down', async () => {
    await query(
      'update audit_events set sequence = sequence + 100 where organization_id = $1 and sequence >= 5',
      [organization.id],
    )
    await query(
      'update audit_events set sequence = sequence - 99 where organization_id = $1 and sequence > 100',
      [organization.id],
    )
    await query('update audit_heads set sequence = 9 where organization_id = $1', [organization.id])
    await insertCopy(4, { sequence: 5, at: 'at', id: `'evt_' || repeat('1', 36)` })
    await rehash(5)
    const report = await verify(organization.slug)
    // The copy was hashed as the fourth one; were it hashed anew, the next one would not follow it.
    expect(report.break?.sequence).toBeGreaterThanOrEqual(5)
    expect(report.break?.sequence).toBeLessThanOrEqual(6)
  })

  test('two events change places', async () => {
    await query(
      'update audit_events set sequence = case sequence when 4 then 6 else 4 end where organization_id = $1 and sequence in (4, 6)',
      [organization.id],
    )
    expect((await verify(organization.slug)).break).toMatchObject({
      fault: 'event_moved',
      sequence: 4,
      detail: 'it was written as sequence 6',
    })
  })

  test('an event is rewritten with its hash, but not its successors', async () => {
    await query(
      `update audit_events set actor_name = 'somebody else' where organization_id = $1 and sequence = 5`,
      [organization.id],
    )
    await rehash(5)
    expect((await verify(organization.slug)).break).toMatchObject({
      fault: 'link_broken',
      sequence: 6,
      detail: 'it does not follow sequence 5: one of the two was rewritten with its hash',
    })
  })

  test('the newest event is rewritten with its hash', async () => {
    await query(
      `update audit_events set actor_name = 'somebody else' where organization_id = $1 and sequence = 8`,
      [organization.id],
    )
    await rehash(8)
    expect((await verify(organization.slug)).break).toMatchObject({ fault: 'link_broken', sequence: 8 })
  })

  test('a previous hash is changed, with the hash computed anew', async () => {
    await query(
      `update audit_events set previous_hash = sha256('x') where organization_id = $1 and sequence = 5`,
      [organization.id],
    )
    await rehash(5)
    expect((await verify(organization.slug)).break).toMatchObject({ fault: 'link_broken', sequence: 5 })
  })

  test('a previous hash or a hash is changed', async () => {
    for (const column of ['previous_hash', 'hash']) {
      await query(
        `update audit_events set ${column} = sha256('x') where organization_id = $1 and sequence = 5`,
        [organization.id],
      )
      expect((await verify(organization.slug)).break).toMatchObject({ sequence: 5 })
    }
  })

  test('an event is moved to the trail of another organization', async () => {
    const other = await createOrganization(server)
    await query('update audit_events set organization_id = $2 where organization_id = $1 and sequence = 8', [
      organization.id,
      other.id,
    ])
    expect((await verify(organization.slug)).break).toMatchObject({ fault: 'event_missing', sequence: 8 })
    expect((await verify(other.slug)).break).not.toBeUndefined()
    await query('update audit_events set organization_id = $1 where organization_id = $2 and sequence = 8', [
      organization.id,
      other.id,
    ])
    await query('insert into kept_heads select * from audit_heads where organization_id = $1', [other.id])
    await query('insert into kept_events select * from audit_events where organization_id = $1', [other.id])
    await query(
      `insert into kept_events select * from audit_events where action = 'organization.created' and target_id = $1
       and id not in (select id from kept_events)`,
      [other.id],
    )
  })

  test('events are deleted, and the head says that there never were any', async () => {
    await query('delete from audit_events where organization_id = $1', [organization.id])
    await query(
      `update audit_heads set sequence = 0, hash = decode(repeat('00', 32), 'hex') where organization_id = $1`,
      [organization.id],
    )
    expect((await verify(organization.slug)).break).toMatchObject({ fault: 'event_missing', sequence: 1 })
  })

  test.each([
    ['in the middle', 4, 5],
    ['at the end', 7, 8],
  ])(
    'a cut %s with an anchor that fits: retention drops only what is older than all that it keeps',
    async (_where, first, last) => {
      const bounds = [organization.id, first, last]
      await query(
        `insert into audit_anchors
       select $1, $2, $3, f.previous_hash, l.hash, now() from audit_events f, audit_events l
       where f.organization_id = $1 and f.sequence = $2 and l.organization_id = $1 and l.sequence = $3`,
        bounds,
      )
      await query(
        'delete from audit_events where organization_id = $1 and sequence between $2 and $3',
        bounds,
      )
      const report = await verify(organization.slug)
      expect(report.break).toMatchObject({ fault: 'event_missing', sequence: first })
      expect(report.dropped).toEqual([])
    },
  )

  test('a cut at the beginning with an anchor that does not fit', async () => {
    await query(
      `insert into audit_anchors select $1, 1, 3, '\\x00', hash, now() from audit_events where organization_id = $1 and sequence = 3`,
      [organization.id],
    )
    await query('delete from audit_events where organization_id = $1 and sequence < 4', [organization.id])
    expect((await verify(organization.slug)).break).toMatchObject({ fault: 'event_missing', sequence: 1 })
  })

  /** A row like the one at `sequence`, with some columns set to SQL expressions. */
  async function insertCopy(from: number, changes: Record<string, string | number>): Promise<void> {
    const columns = (
      await query(
        `select column_name as name from information_schema.columns where table_name = 'audit_events'`,
      )
    ).map((row) => row.name)
    await query(
      `insert into audit_events (${columns.join(', ')})
       select ${columns.map((name) => changes[name] ?? name).join(', ')}
       from audit_events where organization_id = $1 and sequence = $2 limit 1`,
      [organization.id, from],
    )
  }

  /** What somebody would do who knows how the hash is made: computes it anew from the row. */
  async function rehash(sequence: number): Promise<void> {
    const { items } = await must(
      server.api('GET', `/organizations/${organization.id}/audit-events?include_tokens=false&limit=200`),
    )
    const { chain, ...event } = items.find(
      (item: { chain: { sequence: number } }) => item.chain.sequence === sequence,
    )
    const { hash: _hash, ...place } = chain
    const text = JSON.stringify(sortMembers({ ...event, chain: place }))
    await query('update audit_events set hash = $3 where organization_id = $1 and sequence = $2', [
      organization.id,
      sequence,
      createHash('sha256').update(text).digest(),
    ])
  }
})

describe('changes at the same time', () => {
  test('by two connections, in two organizations each and in either order, keep both chains whole', async () => {
    const [one, other] = [await createOrganization(server), await createOrganization(server)]
    const second = connectDatabase(
      { ...(server.connection.pool.options as unknown as Parameters<typeof connectDatabase>[0]) },
      { maxConnections: 4, onIdleError: () => undefined },
    )
    const databases = [server.connection.db, second.db]
    const changes = Array.from({ length: 120 }, (_, number) => {
      const order = number % 4 < 2 ? [one.id, other.id] : [other.id, one.id]
      return transact(databases[number % 2] as (typeof databases)[0], async (trx) => {
        for (const id of order) noteAuditEvents(trx, [eventOf(id, `change ${number}`)])
        await sql`select pg_sleep(random() * 0.01)`.execute(trx)
        if (number % 10 === 9) throw new Error('taken back')
      })
    })
    const outcomes = await Promise.allSettled(changes)
    await second.close()
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(failed.map((outcome) => outcome.reason.message)).toEqual(Array(12).fill('taken back'))
    for (const { slug } of [one, other]) {
      expect(await verify(slug)).toMatchObject({ break: undefined, events: 109 })
    }
  })

  test('over HTTP, in one organization, all stand in the chain', async () => {
    const { id, slug } = await createOrganization(server)
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, number) =>
        number % 2 === 0
          ? server.api('POST', `/organizations/${id}/service-accounts`, { name: `Account ${number}` })
          : server.api('PATCH', `/organizations/${id}`, { name: `Name ${number}` }),
      ),
    )
    expect(answers.map((answer) => answer.status).sort()).toEqual([
      ...Array(15).fill(200),
      ...Array(15).fill(201),
    ])
    expect(await verify(slug)).toMatchObject({ break: undefined, events: 31 })
  })

  test('events of one transaction list in the order in which they happened', async () => {
    const { id } = await createOrganization(server)
    await transact(server.connection.db, async (trx) => {
      for (let number = 0; number < 20; number++) noteAuditEvents(trx, [eventOf(id, `step ${number}`)])
    })
    const { items } = await must(server.api('GET', `/organizations/${id}/audit-events?limit=20`))
    expect(items.map((item: { target: { name: string } }) => item.target.name)).toEqual(
      Array.from({ length: 20 }, (_, number) => `step ${19 - number}`),
    )
  })

  test('an event noted outside of such a transaction is a bug that shows', async () => {
    await expect(
      server.connection.db.transaction().execute(async (trx) => noteAuditEvents(trx, [])),
    ).rejects.toThrow('audit events need a transaction opened by transact')
  })
})

test('retention drops whole months, and the chain is known to begin after them', async () => {
  const { id, slug } = await createOrganization(server)
  const maintain = () =>
    maintainPartitions(server.connection.db, server.clock.now(), { grantRecordDays: 30, auditEventDays: 60 })
  for (let month = 0; month < 6; month++) {
    await must(server.api('PATCH', `/organizations/${id}`, { name: `Month ${month}` }))
    server.clock.advance(31 * 86_400)
    await maintain()
  }
  const report = await verify(slug)
  expect(report).toMatchObject({ break: undefined, dropped: [{ first: 1, last: 7 - report.events }] })
  expect(report.events).toBeGreaterThan(0)
  expect(report.events).toBeLessThan(7)

  for (let month = 0; month < 4; month++) {
    server.clock.advance(31 * 86_400)
    await maintain()
  }
  expect(await verify(slug)).toMatchObject({ break: undefined, events: 0, dropped: [{ first: 1, last: 7 }] })
  await must(server.api('PATCH', `/organizations/${id}`, { name: 'Later' }))
  expect(await verify(slug)).toMatchObject({ break: undefined, events: 1, first: { sequence: 8 } })
  await query('delete from audit_anchors where organization_id = $1', [id])
  expect((await verify(slug)).break).toMatchObject({ fault: 'event_missing', sequence: 1 })
})

test('events around the turn of a month whose clocks differed are dropped and known piece by piece', async () => {
  const { id, slug } = await createOrganization(server)
  const month = new Date(server.clock.now())
  const turn = Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1)
  for (const offset of [-2, 1, -1, 2, 3]) {
    await transact(server.connection.db, async (trx) => {
      noteAuditEvents(trx, [{ ...eventOf(id, `at ${offset}`), at: new Date(turn + offset) }])
    })
  }
  expect(await verify(slug)).toMatchObject({ break: undefined, events: 6 })
  const drop = async (at: number) => {
    await maintainPartitions(server.connection.db, at, { grantRecordDays: 30, auditEventDays: 1 })
    return verify(slug)
  }
  expect(await drop(turn + 3 * 86_400_000)).toMatchObject({
    break: undefined,
    events: 3,
    dropped: [
      { first: 1, last: 2 },
      { first: 4, last: 4 },
    ],
  })
  expect(await drop(turn + 40 * 86_400_000)).toMatchObject({ break: undefined, events: 0 })
})

test('events from before the chain are chained when the database is migrated', async () => {
  const database = await createTestDatabase({ empty: true })
  const connection = connectDatabase(database.address, { maxConnections: 2, onIdleError: () => undefined })
  const migrate = async (name: string) => {
    const { up } = await import(`../../migrations/${name}.ts`)
    await up(connection.db as Kysely<unknown>)
  }
  try {
    await migrate('0001_spine')
    const { pool } = connection
    await pool.query('create table all_audit_events partition of audit_events default')
    await pool.query(
      `insert into organizations values ('org_a', 'a', 'A', 'active', false, '{}', 0, now(), now()),
                                        ('org_b', 'b', 'B', 'active', false, '{}', 0, now(), now())`,
    )
    await pool.query(
      `insert into audit_events (organization_id, id, at, actor_kind, actor_name, action, target_id, target_kind, changes)
       select 'org_a', 'evt_' || lpad(n::text, 36, '0'), now() + n * interval '1 ms', 'system', 'Countersign',
              'organization.updated', 'org_a', 'organization',
              jsonb_build_object('after', jsonb_build_object('name', 'é ' || n, 'settings', jsonb_build_object('n', n / 7.0, 'b', true)))
       from generate_series(1, 1500) n`,
    )
    await migrate('0005_audit_chain')
    const reports: ChainReport[] = []
    for await (const report of verifyChains(connection.db)) reports.push(report)
    expect(reports).toMatchObject([
      { slug: 'a', break: undefined, events: 1500 },
      { slug: 'b', break: { fault: 'event_missing', sequence: 1 }, events: 0 },
    ])
  } finally {
    await connection.close()
    await database.drop()
  }
})

function eventOf(organizationId: string, name: string): NewAuditEvent {
  return {
    organizationId,
    at: new Date(server.clock.now()),
    actorId: null,
    actorKind: 'system',
    actorName: 'test',
    action: 'organization.updated',
    targetId: organizationId,
    targetKind: 'organization',
    targetName: name,
    changes: null,
    reason: null,
    count: null,
    ip: null,
    userAgent: null,
    requestId: null,
  }
}

/** RFC 8785 for members whose names are ASCII, written a second time. */
function sortMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortMembers)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, member]) => [name, sortMembers(member)] as const)
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)))
}
