import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createApiToken } from '../support/api-tokens.ts'
import {
  builtInRoleId,
  createClient,
  createOrganization,
  expectProblem,
  managementServerId,
} from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator } from '../support/sign-in.ts'
import { until } from '../support/until.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('an organization with active accounts goes only when its slug is repeated', async () => {
  const { organizationId, accountPath, getToken } = await server.createFixture()
  const path = `/organizations/${organizationId}`
  await getToken()
  for (const query of ['', '?confirm=another', `?confirm=${organizationId.replace('_', '-')}`])
    expectProblem(await server.api('DELETE', path + query), 409, 'organization_not_empty')
  expectProblem(await server.api('DELETE', `${path}?confirm=`), 400, 'request_malformed')
  expect((await server.api('GET', accountPath)).status).toBe(200)
})

test('once it is answered, everything in it has ended on every node', async () => {
  const fixture = await server.createFixture()
  const { connection, clock, issuer } = server
  const other = await startTestServer({ connection, clock, issuer })
  const apiToken = await createApiToken(server, fixture)
  const path = `/organizations/${fixture.organizationId}`
  const { slug } = await must(server.api('GET', path))
  await must(server.api('POST', `${path}/roles`, { name: 'Readers', permissions: [] }))
  await must(server.api('POST', `${path}/groups`, { name: 'Oslo' }))
  const tokens = [
    await fixture.getToken(),
    (await must(apiToken.requestToken())).access_token,
    apiToken.token,
  ]

  expect((await server.api('DELETE', `${path}?confirm=${slug}`)).status).toBe(204)
  for (const node of [server, other]) {
    for (const token of tokens) {
      const { authorization } = fixture.resourceServer
      expect((await node.post('/oauth/introspect', { token }, { authorization })).body).toEqual({
        active: false,
      })
    }
    const assertion = await fixture.assertion()
    const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
    const refused = await node.post('/oauth/token', { grant_type: grantType, assertion })
    expect(refused.body.error).toBe('invalid_grant')
    expect((await apiToken.requestToken({}, node)).body.error).toBe('invalid_client')
    expectProblem(await node.api('GET', fixture.accountPath), 404, 'resource_not_found')
  }
  expect((await server.api('DELETE', path)).status).toBe(204)
  await other.close()
})

test('its slug and the emails in it are free again, and the trail tells what went', async () => {
  const fixture = await server.createFixture()
  const path = `/organizations/${fixture.organizationId}`
  const { slug } = await must(server.api('GET', path))
  const account = await must(server.api('GET', fixture.accountPath))
  await must(server.api('DELETE', `${path}?confirm=${slug}`))
  const again = await must(server.api('POST', '/organizations', { slug, name: 'again' }))
  const created = await must(
    server.api('POST', `/organizations/${again.id}/service-accounts`, { name: 'x', slug: account.slug }),
  )
  expect(created.email).toBe(account.email)
  const { rows } = await server.connection.pool.query(
    "select changes from audit_events where organization_id = $1 and action = 'organization.deleted'",
    [fixture.organizationId],
  )
  expect(rows[0].changes).toEqual({
    before: { status: 'active', accounts_deleted: [], keys_revoked: [] },
    after: { status: 'deleted', accounts_deleted: [fixture.accountId], keys_revoked: [fixture.keyId] },
  })
})

test('its trail can still be read by the platform, and by nobody else', async () => {
  const { organizationId, accountPath } = await server.createFixture()
  const path = `/organizations/${organizationId}`
  const trail = `${path}/audit-events?action=organization.deleted`
  const { slug } = await must(server.api('GET', path))
  await must(server.api('DELETE', `${path}?confirm=${slug}`))
  const { items } = await must(server.api('GET', trail))
  expect(items).toMatchObject([{ target: { id: organizationId }, actor: { name: 'operator' } }])
  const { id } = await createOrganization(server)
  const neighbour = await createClient(server, { organizationId: id, permissions: ['audit:read'] })
  expectProblem(await neighbour.call('GET', trail), 404, 'resource_not_found')
  for (const gone of [path, accountPath, `${path}/roles`])
    expectProblem(await server.api('GET', gone), 404, 'resource_not_found')
})

describe('whoever is at work in it meanwhile finishes first, and nobody waits in a circle', () => {
  test.each<[string, { holds: string; method: string; path: string; body?: unknown }]>([
    [
      'an owner loses the role',
      {
        holds: 'accounts where id = :acc',
        method: 'PATCH',
        path: '/service-accounts/:acc',
        body: { role_ids: [] },
      },
    ],
    [
      'an owner is deleted',
      { holds: 'accounts where id = :acc', method: 'DELETE', path: '/service-accounts/:acc' },
    ],
    [
      'an administrator is disabled',
      {
        holds: 'accounts where id = :person',
        method: 'PATCH',
        path: '/administrators/:person',
        body: { status: 'disabled' },
      },
    ],
    [
      'a key is disabled',
      {
        holds: 'accounts where id = :acc',
        method: 'PATCH',
        path: '/service-accounts/:acc/keys/:key',
        body: { status: 'disabled' },
      },
    ],
    [
      'a role loses a permission',
      { holds: 'roles where id = :role', method: 'PATCH', path: '/roles/:role', body: { permissions: [] } },
    ],
    ['a group is deleted', { holds: 'groups where id = :grp', method: 'DELETE', path: '/groups/:grp' }],
  ])('%s', async (_what, { holds, method, path, body }) => {
    const owner = await builtInRoleId(server, 'owner')
    const { id: organizationId, slug } = await createOrganization(server)
    const organization = `/organizations/${organizationId}`
    const [group, role] = [
      await must(server.api('POST', `${organization}/groups`, { name: 'Oslo' })),
      await must(
        server.api('POST', `${organization}/roles`, {
          name: 'Auditors',
          permissions: [{ resource_server_id: await managementServerId(server), permission: 'audit:read' }],
        }),
      ),
    ]
    const access = { role_ids: [owner, role.id], group_access: [{ group_id: group.id, access: 'viewer' }] }
    const options = { organizationId, permissions: [], access }
    const [client] = [await createClient(server, options), await createClient(server, options)]
    const person = await createAdministrator(server, organizationId)
    const { items: keys } = await must(server.api('GET', `${client?.accountPath}/keys`))
    const ids: Record<string, string> = {
      ':acc': client?.accountId ?? '',
      ':person': person.id,
      ':key': keys[0].id,
      ':role': role.id,
      ':grp': group.id,
    }
    const fill = (text: string, quote = '') => text.replace(/:\w+/g, (name) => `${quote}${ids[name]}${quote}`)

    const hold = await server.connection.pool.connect()
    await hold.query(`begin; select from ${fill(holds, "'")} for update`)
    const change = server.api(method, organization + fill(path), body)
    await untilWaiting(1)
    const end = server.api('DELETE', `${organization}?confirm=${slug}`)
    await untilWaiting(2)
    await hold.query('rollback')
    hold.release()
    expect((await change).status).toBeLessThan(300)
    expect((await end).status).toBe(204)
  })

  /** So many connections to the database wait for others. */
  function untilWaiting(count: number): Promise<true> {
    return until(async () => {
      const { rows } = await server.connection.pool.query(
        `select count(*)::int as waiting from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      )
      return rows[0].waiting >= count || undefined
    })
  }
})

test('one whose accounts are all disabled goes without a confirmation', async () => {
  const fixture = await server.createFixture()
  await must(server.api('PATCH', fixture.accountPath, { status: 'disabled' }))
  expect((await server.api('DELETE', `/organizations/${fixture.organizationId}`)).status).toBe(204)
})

test('a token that is being issued meanwhile does not survive it', async () => {
  const fixture = await server.createFixture()
  const path = `/organizations/${fixture.organizationId}`
  const { slug } = await must(server.api('GET', path))
  const [, ...answers] = await Promise.all([
    must(server.api('DELETE', `${path}?confirm=${slug}`)),
    ...Array.from({ length: 20 }, () => fixture.requestToken()),
  ])
  for (const { status, body } of answers) {
    if (status === 200) expect((await fixture.introspect(body.access_token)).body).toEqual({ active: false })
    else expect(body.error).toBe('invalid_grant')
  }
})
