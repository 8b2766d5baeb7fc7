import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createKeyPair } from '../support/jwt.ts'
import { createOrganization, managementServerId, request } from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let operators: string
let organization: string
let accounts: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  operators = (await must(server.api('GET', '/me'))).organization.id
  organization = `/organizations/${fixture.organizationId}`
  accounts = `${organization}/service-accounts`
})
afterAll(() => server.close())

type Event = Record<string, unknown> & {
  action: string
  changes: Record<string, Record<string, unknown>> | null
}

/** All events that one request left, of whatever organization, as the database has them. */
async function eventsOf(answer: Answer): Promise<Event[]> {
  const { rows } = await server.connection.pool.query(
    'select * from audit_events where request_id = $1 order by id',
    [answer.headers.get('x-request-id')],
  )
  return rows
}

type Change = {
  name: string
  send: () => Promise<Answer>
  action: string
  /** The trail in which it stands, when not that of the fixture's organization. */
  of?: 'operators' | 'the new one'
  before?: Record<string, unknown>
  after?: Record<string, unknown>
}

const call = (method: string, path: string, body?: unknown) => server.api(method, path, body)
let other: { id: string }
let account: { id: string }
let key: { id: string }
let resourceServer: { id: string }
let secret: { id: string }

/** Every change that the API can make, in an order in which each finds what it needs. */
const CHANGES: Change[] = [
  {
    name: 'creating an organization',
    send: () => call('POST', '/organizations', { slug: 'audited', name: 'Audited' }),
    action: 'organization.created',
    of: 'the new one',
    after: { slug: 'audited', name: 'Audited', status: 'active', settings: expect.anything() },
  },
  {
    name: 'changing an organization',
    send: () =>
      call('PATCH', organization, {
        name: 'Renamed',
        settings: { require_jti: false, max_keys_per_account: 9 },
      }),
    action: 'organization.updated',
    before: { name: expect.any(String), settings: expect.objectContaining({ max_keys_per_account: 10 }) },
    after: { name: 'Renamed', settings: expect.objectContaining({ max_keys_per_account: 9 }) },
  },
  {
    name: 'disabling an organization',
    send: async () => {
      other = await createOrganization(server)
      return call('PATCH', `/organizations/${other.id}`, { status: 'disabled' })
    },
    action: 'organization.disabled',
    of: 'the new one',
    before: { status: 'active' },
    after: { status: 'disabled' },
  },
  {
    name: 'enabling an organization',
    send: () => call('PATCH', `/organizations/${other.id}`, { status: 'active' }),
    action: 'organization.enabled',
    of: 'the new one',
    before: { status: 'disabled' },
    after: { status: 'active' },
  },
  {
    name: 'deleting an organization',
    send: () => call('DELETE', `/organizations/${other.id}`),
    action: 'organization.deleted',
    of: 'the new one',
    before: { status: 'active' },
    after: { status: 'deleted' },
  },
  {
    name: 'creating a service account',
    send: async () => {
      const answer = await call('POST', accounts, {
        name: 'Audited',
        permissions: [{ resource_server_id: fixture.resourceServer.id, permission: 'read' }],
      })
      account = answer.body
      return answer
    },
    action: 'service_account.created',
    after: expect.objectContaining({
      name: 'Audited',
      status: 'active',
      permissions: [{ resource_server_id: expect.any(String), permission: 'read' }],
    }) as unknown as Record<string, unknown>,
  },
  {
    name: 'changing a service account',
    send: () =>
      call('PATCH', `${accounts}/${account.id}`, { name: 'Audited', permissions: [], owner_contact: 'me' }),
    action: 'service_account.updated',
    before: { permissions: [expect.anything()], owner_contact: null },
    after: { permissions: [], owner_contact: 'me' },
  },
  {
    name: 'disabling a service account',
    send: () => call('PATCH', `${accounts}/${account.id}`, { status: 'disabled' }),
    action: 'service_account.disabled',
    before: { status: 'active' },
    after: { status: 'disabled' },
  },
  {
    name: 'enabling a service account',
    send: () => call('PATCH', `${accounts}/${account.id}`, { status: 'active' }),
    action: 'service_account.enabled',
    before: { status: 'disabled' },
    after: { status: 'active' },
  },
  {
    name: 'ending all tokens of an account',
    send: () => call('DELETE', `${fixture.accountPath}/tokens`),
    action: 'service_account.tokens_revoked',
  },
  {
    name: 'ending one token',
    send: async () => {
      const { jti } = (await fixture.introspect(await fixture.getToken())).body
      return call('DELETE', `${fixture.accountPath}/tokens/${jti}`)
    },
    action: 'token.revoked',
    before: { revoked_at: null },
    after: { revoked_at: expect.any(String) },
  },
  {
    name: 'generating a key',
    send: async () => {
      const answer = await call('POST', `${accounts}/${account.id}/keys`, {
        type: 'rsa',
        format: 'pem',
        name: 'k',
      })
      key = answer.body.key
      return answer
    },
    action: 'key.created',
    after: expect.objectContaining({
      name: 'k',
      type: 'rsa',
      status: 'active',
      thumbprint: expect.any(String),
    }) as unknown as Record<string, unknown>,
  },
  {
    name: 'changing a key',
    send: () => call('PATCH', `${accounts}/${account.id}/keys/${key.id}`, { name: 'k2' }),
    action: 'key.updated',
    before: { name: 'k' },
    after: { name: 'k2' },
  },
  {
    name: 'disabling a key',
    send: () => call('PATCH', `${accounts}/${account.id}/keys/${key.id}`, { status: 'disabled' }),
    action: 'key.disabled',
    before: { status: 'active' },
    after: { status: 'disabled' },
  },
  {
    name: 'enabling a key',
    send: () => call('PATCH', `${accounts}/${account.id}/keys/${key.id}`, { status: 'active' }),
    action: 'key.enabled',
    before: { status: 'disabled' },
    after: { status: 'active' },
  },
  {
    name: 'revoking a key',
    send: () => call('DELETE', `${accounts}/${account.id}/keys/${key.id}`),
    action: 'key.revoked',
    before: { status: 'active' },
    after: { status: 'revoked' },
  },
  {
    name: 'deleting a service account',
    send: () => call('DELETE', `${accounts}/${account.id}`),
    action: 'service_account.deleted',
    before: { status: 'active' },
    after: { status: 'deleted' },
  },
  {
    name: 'registering a resource server',
    send: async () => {
      const answer = await call('POST', '/resource-servers', { identifier: 'urn:audited', name: 'Audited' })
      resourceServer = answer.body
      return answer
    },
    action: 'resource_server.created',
    of: 'operators',
    after: expect.objectContaining({ identifier: 'urn:audited' }) as unknown as Record<string, unknown>,
  },
  {
    name: 'changing a resource server',
    send: () => call('PATCH', `/resource-servers/${resourceServer.id}`, { token_format: 'opaque' }),
    action: 'resource_server.updated',
    of: 'operators',
    before: { token_format: 'jwt' },
    after: { token_format: 'opaque' },
  },
  {
    name: 'making a secret',
    send: async () => {
      const answer = await call('POST', `/resource-servers/${resourceServer.id}/secrets`, { name: 's' })
      secret = answer.body.secret
      return answer
    },
    action: 'resource_server_secret.created',
    of: 'operators',
    after: { resource_server_id: expect.any(String), name: 's', obfuscated_secret: expect.any(String) },
  },
  {
    name: 'deleting a secret',
    send: () => call('DELETE', `/resource-servers/${resourceServer.id}/secrets/${secret.id}`),
    action: 'resource_server_secret.deleted',
    of: 'operators',
    before: { resource_server_id: expect.any(String), name: 's', obfuscated_secret: expect.any(String) },
  },
  {
    name: 'deleting a resource server',
    send: () => call('DELETE', `/resource-servers/${resourceServer.id}`),
    action: 'resource_server.deleted',
    of: 'operators',
    before: { identifier: 'urn:audited' },
  },
]

describe('every change leaves exactly one event', () => {
  test.each(CHANGES)('$name', async ({ send, action, of, before, after }) => {
    const answer = await send()
    expect(answer.status).toBeLessThan(300)
    const events = await eventsOf(answer)
    expect(events.map((event) => event.action)).toEqual([action])
    const { account: me } = await must(server.api('GET', '/me'))
    expect(events[0]).toMatchObject({
      actor_id: me.id,
      actor_kind: 'service_account',
      actor_name: 'operator',
      ip: expect.stringMatching(/127\.0\.0\.1$/),
      user_agent: expect.stringMatching(/./),
      reason: null,
    })
    if (of === 'operators') expect(events[0]?.organization_id).toBe(operators)
    else if (of === 'the new one') expect(events[0]?.organization_id).toBe(events[0]?.target_id)
    else expect(events[0]?.organization_id).toBe(fixture.organizationId)
    if (before !== undefined) expect(events[0]?.changes?.before).toMatchObject(before)
    else expect(events[0]?.changes?.before).toBeUndefined()
    if (after !== undefined) expect(events[0]?.changes?.after).toEqual(after)
  })

  test('the table has every action that a rule can write', () => {
    const actions = new Set(CHANGES.map((change) => change.action))
    expect(actions.size).toBe(CHANGES.length)
    expect(actions.size).toBe(22)
  })
})

describe('nothing is written', () => {
  test('of a change that changes nothing', async () => {
    for (const [method, path, body] of [
      ['PATCH', organization, {}],
      ['PATCH', organization, { status: 'active' }],
      ['PATCH', fixture.accountPath, { status: 'active', permissions: undefined }],
      ['PATCH', `${fixture.accountPath}/keys/${fixture.keyId}`, { status: 'active' }],
      ['PATCH', `/resource-servers/${fixture.resourceServer.id}`, { token_format: 'jwt' }],
      ['DELETE', `${accounts}/${account.id}`],
      ['DELETE', `/resource-servers/${resourceServer.id}`],
    ] as const) {
      const answer = await call(method, path, body)
      expect(answer.status).toBeLessThan(300)
      expect(await eventsOf(answer)).toEqual([])
    }
  })

  test('of a change that fails, not even in part', async () => {
    const pair = await createKeyPair('ES256')
    const { publicJwk } = fixture.keyPair
    const management = await managementServerId(server)
    const before = await snapshot()
    for (const [method, path, body] of [
      ['POST', '/organizations', { slug: 'audited', name: 'again' }],
      ['POST', accounts, { name: 'x', initial_key: { type: 'public_key', public_key: publicJwk } }],
      [
        'POST',
        accounts,
        {
          name: 'x',
          permissions: [{ resource_server_id: management, permission: 'nosuch' }],
          initial_key: { type: 'public_key', public_key: pair.publicJwk },
        },
      ],
      [
        'PATCH',
        fixture.accountPath,
        { name: 'x', permissions: [{ resource_server_id: management, permission: 'no' }] },
      ],
      ['DELETE', organization],
    ] as const) {
      const answer = await call(method, path, body)
      expect(answer.status).toBeGreaterThanOrEqual(400)
      expect(await eventsOf(answer)).toEqual([])
    }
    expect(await snapshot()).toEqual(before)
  })

  test('and nothing changes when its event cannot be written', async () => {
    await server.connection.pool.query(
      'alter table audit_events add constraint broken check (false) not valid',
    )
    try {
      const before = await snapshot()
      const answer = await call('PATCH', organization, { name: 'Unaudited' })
      expect(answer.status).toBe(500)
      expect(answer.body.code).toBe('internal_error')
      expect((await call('POST', accounts, { name: 'Unaudited' })).status).toBe(500)
      expect(await snapshot()).toEqual(before)
    } finally {
      await server.connection.pool.query('alter table audit_events drop constraint broken')
    }
  })
})

test('no secret stands in any event', async () => {
  const created = await call('POST', accounts, { name: 'secretive', initial_key: { type: 'rsa' } })
  const p12 = await call('POST', `${accounts}/${created.body.id}/keys`, { type: 'rsa', format: 'p12' })
  const secretAnswer = await call('POST', `/resource-servers/${fixture.resourceServer.id}/secrets`, {})
  const { d } = { d: 'AAAAsecretAAAAsecretAAAAsecretAAAA' }
  await call('POST', `${accounts}/${created.body.id}/keys`, {
    type: 'public_key',
    public_key: { ...fixture.keyPair.publicJwk, d },
  })
  const { rows } = await server.connection.pool.query('select audit_events::text as text from audit_events')
  const all = rows.map((row) => row.text).join('\n')
  for (const hidden of [
    created.body.initial_key.key_file.private_key.slice(40, 100),
    p12.body.password,
    p12.body.p12.slice(0, 60),
    secretAnswer.body.client_secret,
    d,
    'PRIVATE KEY',
  ]) {
    expect(all).not.toContain(hidden)
  }
})

describe('the list of events', () => {
  test('keeps to actor, target, action and time', async () => {
    const list = async (query: string) =>
      (await must(call('GET', `${organization}/audit-events?limit=200&${query}`))).items as Record<
        string,
        { id: string }
      >[]
    const { account: me } = await must(call('GET', '/me'))
    const all = await list('')
    expect((await list(`actor=${me.id}`)).length).toBeGreaterThan(5)
    expect(await list('actor=acc_nobody')).toEqual([])
    const ofAccount = await list(`target=${fixture.accountId}`)
    expect(ofAccount.length).toBeGreaterThan(0)
    for (const event of ofAccount) expect(event.target?.id).toBe(fixture.accountId)
    for (const event of await list('action=key.created')) expect(event.action).toBe('key.created')
    const middle = all[Math.floor(all.length / 2)]?.at as unknown as string
    const from = await list(`from=${middle}`)
    const to = await list(`to=${middle}`)
    expect(from.length + to.length).toBe(all.length)
    expect(from.at(-1)?.at).toBe(middle)
    expect(await list(`from=${encodeURIComponent(middle)}&to=${encodeURIComponent(middle)}`)).toEqual([])
  })

  test('refuses a time that is none and an action that could be none', async () => {
    for (const query of [
      'from=yesterday',
      'to=2026-02-30T00:00:00Z',
      'from=2016-12-31T23:59:60Z',
      'action=a%20b',
      'actor=%00',
    ])
      expect((await call('GET', `${organization}/audit-events?${query}`)).status).toBe(400)
  })

  test('bears the request id that the caller chose', async () => {
    const token = await server.operatorToken()
    const answer = await request(server, 'PATCH', organization, {
      token,
      headers: { 'x-request-id': 'ticket-4711' },
      body: { name: 'By ticket' },
    })
    expect(answer.status).toBe(200)
    const { items } = await must(call('GET', `${organization}/audit-events?limit=1`))
    expect(items[0]).toMatchObject({ request_id: 'ticket-4711', action: 'organization.updated' })
  })
})

/** Everything that a change could have left behind. */
async function snapshot(): Promise<unknown> {
  const tables = [
    'organizations',
    'accounts',
    'keys',
    'account_permissions',
    'audit_events',
    'resource_servers',
  ]
  const counts = await Promise.all(
    tables.map(async (table) => {
      const { rows } = await server.connection.pool.query(
        `select count(*)::int as count, md5(string_agg(t::text, '' order by t::text)) as digest from ${table} t`,
      )
      return [table, rows[0]]
    }),
  )
  return Object.fromEntries(counts)
}
