import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { MANAGEMENT_PERMISSIONS } from '../../src/directory/management-permissions.ts'
import { ROUTES } from '../../src/management/router.ts'
import { builtInRoleId, type Client, createClient, expectProblem, request } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

/**
 * What each call needs, written down a second time: a route that is added, or whose permission is changed,
 * fails here until somebody has thought about it.
 */
const NEEDED: Record<string, string | undefined> = {
  'GET /me': undefined,
  'GET /me/effective-permissions': undefined,
  'GET /organizations': 'organizations:read',
  'POST /organizations': 'organizations:manage',
  'GET /organizations/:org': 'organizations:read',
  'PATCH /organizations/:org': 'organizations:manage',
  'DELETE /organizations/:org': 'organizations:manage',
  'GET /organizations/:org/permissions': undefined,
  'GET /organizations/:org/audit-events': 'audit:read',
  'GET /organizations/:org/identity-provider': 'organizations:read',
  'PUT /organizations/:org/identity-provider': 'organizations:manage',
  'DELETE /organizations/:org/identity-provider': 'organizations:manage',
  'GET /organizations/:org/administrators': 'administrators:read',
  'POST /organizations/:org/administrators': 'administrators:manage',
  'GET /organizations/:org/administrators/:acc': 'administrators:read',
  'PATCH /organizations/:org/administrators/:acc': 'administrators:manage',
  'DELETE /organizations/:org/administrators/:acc': 'administrators:manage',
  'GET /organizations/:org/administrators/:acc/effective-permissions': 'administrators:read',
  'POST /organizations/:org/administrators/:acc/invitation': 'administrators:manage',
  'GET /organizations/:org/administrators/:acc/sessions': 'administrators:read',
  'DELETE /organizations/:org/administrators/:acc/sessions': 'administrators:manage',
  'DELETE /organizations/:org/administrators/:acc/sessions/:ses': 'administrators:manage',
  'GET /organizations/:org/service-accounts': 'service_accounts:read',
  'POST /organizations/:org/service-accounts': 'service_accounts:manage',
  'GET /organizations/:org/service-accounts/:acc': 'service_accounts:read',
  'PATCH /organizations/:org/service-accounts/:acc': 'service_accounts:manage',
  'DELETE /organizations/:org/service-accounts/:acc': 'service_accounts:manage',
  'GET /organizations/:org/service-accounts/:acc/effective-permissions': 'service_accounts:read',
  'GET /organizations/:org/service-accounts/:acc/keys': 'service_accounts:read',
  'POST /organizations/:org/service-accounts/:acc/keys': 'service_accounts:manage',
  'GET /organizations/:org/service-accounts/:acc/keys/:key': 'service_accounts:read',
  'PATCH /organizations/:org/service-accounts/:acc/keys/:key': 'service_accounts:manage',
  'DELETE /organizations/:org/service-accounts/:acc/keys/:key': 'service_accounts:manage',
  'GET /organizations/:org/service-accounts/:acc/tokens': 'service_accounts:read',
  'DELETE /organizations/:org/service-accounts/:acc/tokens': 'service_accounts:manage',
  'DELETE /organizations/:org/service-accounts/:acc/tokens/:tok': 'service_accounts:manage',
  'GET /organizations/:org/roles': 'roles:read',
  'POST /organizations/:org/roles': 'roles:manage',
  'GET /organizations/:org/roles/:role': 'roles:read',
  'PATCH /organizations/:org/roles/:role': 'roles:manage',
  'DELETE /organizations/:org/roles/:role': 'roles:manage',
  'GET /organizations/:org/groups': 'groups:read',
  'POST /organizations/:org/groups': 'groups:manage',
  'GET /organizations/:org/groups/:grp': 'groups:read',
  'PATCH /organizations/:org/groups/:grp': 'groups:manage',
  'DELETE /organizations/:org/groups/:grp': 'groups:manage',
  'GET /resource-servers': 'resource_servers:read',
  'POST /resource-servers': 'resource_servers:manage',
  'GET /resource-servers/:rs': 'resource_servers:read',
  'PATCH /resource-servers/:rs': 'resource_servers:manage',
  'DELETE /resource-servers/:rs': 'resource_servers:manage',
  'GET /resource-servers/:rs/secrets': 'resource_servers:read',
  'POST /resource-servers/:rs/secrets': 'resource_servers:manage',
  'DELETE /resource-servers/:rs/secrets/:id': 'resource_servers:manage',
  'GET /resource-servers/:rs/keys': 'resource_servers:read',
  'POST /resource-servers/:rs/keys': 'resource_servers:manage',
  'GET /resource-servers/:rs/keys/:key': 'resource_servers:read',
  'PATCH /resource-servers/:rs/keys/:key': 'resource_servers:manage',
  'DELETE /resource-servers/:rs/keys/:key': 'resource_servers:manage',
  'GET /signing-keys': 'signing_keys:read',
  'POST /signing-keys/rotate': 'signing_keys:manage',
  'POST /signing-keys/:sig/revoke': 'signing_keys:manage',
}

/** What each built-in role has, written down a second time as well. */
const READING = [...new Set(Object.values(NEEDED))].filter((name) => name?.endsWith(':read'))
const BUILT_IN: Record<string, readonly (string | undefined)[]> = {
  owner: [...new Set(Object.values(NEEDED))],
  service_account_manager: [
    'service_accounts:read',
    'service_accounts:manage',
    'roles:read',
    'groups:read',
    'organizations:read',
  ],
  auditor: READING,
  viewer: READING.filter((name) => name !== 'audit:read'),
}

const names = ROUTES.map(([method, path]) => `${method} ${path}`)
const ALL = MANAGEMENT_PERMISSIONS.map((permission) => permission.name)

let server: TestServer
let fixture: Fixture
/** By the one permission that each lacks. */
const lacking = new Map<string, Client>()
/** By the one permission that each has. */
const holding = new Map<string, Client>()
/** By the one built-in role that each has. */
const withRole = new Map<string, Client>()
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  const organizationId = (await must(server.api('GET', '/me'))).organization.id
  for (const permission of ALL) {
    const others = ALL.filter((name) => name !== permission)
    lacking.set(permission, await createClient(server, { organizationId, permissions: others }))
    holding.set(permission, await createClient(server, { organizationId, permissions: [permission] }))
  }
  for (const name of Object.keys(BUILT_IN)) {
    const access = { role_ids: [await builtInRoleId(server, name)] }
    withRole.set(name, await createClient(server, { organizationId, permissions: [], access }))
  }
})
afterAll(() => server.close())

test('every route stands in this table, and every row of it is a route', () => {
  expect(names).toEqual(Object.keys(NEEDED))
})

/** Ids that do not exist, so that nothing is changed: whoever gets past the permission meets a 404 or a 422. */
function pathOf(name: string): string {
  return (name.split(' ')[1] ?? '')
    .replace(':org', fixture.organizationId)
    .replace(':id', `rss_${'0'.repeat(36)}`)
    .replace(/:(\w+)/g, (_match, parameter) => `${parameter}_${'0'.repeat(36)}`)
}

describe.each(Object.entries(NEEDED))('%s', (name, needed) => {
  const [method = ''] = name.split(' ')
  const body = ['POST', 'PUT', 'PATCH'].includes(method) ? { nonsense: true } : undefined

  test('needs authentication before anything else', async () => {
    const answer = await request(server, method, pathOf(name), { body })
    expectProblem(answer, 401, 'credentials_missing')
  })

  test(
    needed === undefined ? 'is for every account' : `is refused without ${needed} and nothing else helps`,
    async () => {
      if (needed === undefined) {
        for (const client of holding.values())
          expect((await client.call(method, pathOf(name), body)).status).toBe(200)
        return
      }
      const refused = await (lacking.get(needed) as Client).call(method, pathOf(name), body)
      expectProblem(refused, 403, 'permission_missing')
      expect(refused.headers.get('www-authenticate')).toContain(`scope="${needed}"`)
    },
  )

  test.each(Object.entries(BUILT_IN))('is for the role %s if that has it', async (role, permissions) => {
    if (method === 'DELETE' && name.endsWith(':org')) return
    const answer = await (withRole.get(role) as Client).call(method, pathOf(name), body)
    const isLetIn = needed === undefined || permissions.includes(needed)
    if (isLetIn) expect([200, 204, 404, 422]).toContain(answer.status)
    else expectProblem(answer, 403, 'permission_missing')
  })

  test('asks for no more than that', async () => {
    if (needed === undefined || (method === 'DELETE' && name.endsWith(':org'))) return
    const answer = await (holding.get(needed) as Client).call(method, pathOf(name), body)
    expect([200, 204, 404, 422]).toContain(answer.status)
  })
})
