import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { OWN, PLATFORM, SCREENS, TENANT } from '../../src/console/screens.ts'
import { MANAGEMENT_PERMISSIONS } from '../../src/directory/management-permissions.ts'
import { type ConsoleClient, createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId, createOrganization, managementServerId } from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, signIn, type TestAdministrator } from '../support/sign-in.ts'

/**
 * What each page of an organization needs, written down a second time: a screen that is added, or whose
 * permission is changed, fails here until somebody has thought about it.
 */
const NEEDED: Record<string, string> = {
  'GET /service-accounts': 'service_accounts:read',
  'GET /service-accounts/new': 'service_accounts:manage',
  'POST /service-accounts/new': 'service_accounts:manage',
  'GET /service-accounts/:acc': 'service_accounts:read',
  'GET /service-accounts/:acc/edit': 'service_accounts:manage',
  'POST /service-accounts/:acc/edit': 'service_accounts:manage',
  'GET /service-accounts/:acc/disable': 'service_accounts:manage',
  'POST /service-accounts/:acc/disable': 'service_accounts:manage',
  'POST /service-accounts/:acc/enable': 'service_accounts:manage',
  'GET /service-accounts/:acc/delete': 'service_accounts:manage',
  'POST /service-accounts/:acc/delete': 'service_accounts:manage',
  'GET /service-accounts/:acc/permissions': 'service_accounts:read',
  'POST /service-accounts/:acc/permissions': 'service_accounts:manage',
  'GET /service-accounts/:acc/permissions/give': 'service_accounts:manage',
  'POST /service-accounts/:acc/permissions/give': 'service_accounts:manage',
  'GET /service-accounts/:acc/permissions/delegate': 'service_accounts:manage',
  'POST /service-accounts/:acc/permissions/delegate': 'service_accounts:manage',
  'GET /service-accounts/:acc/permissions/take': 'service_accounts:manage',
  'POST /service-accounts/:acc/permissions/take': 'service_accounts:manage',
  'GET /service-accounts/:acc/tokens': 'service_accounts:read',
  'GET /service-accounts/:acc/tokens/revoke': 'service_accounts:manage',
  'POST /service-accounts/:acc/tokens/revoke': 'service_accounts:manage',
  'GET /service-accounts/:acc/tokens/:tok/revoke': 'service_accounts:manage',
  'POST /service-accounts/:acc/tokens/:tok/revoke': 'service_accounts:manage',
  'GET /service-accounts/:acc/audit': 'audit:read',
  'GET /service-accounts/:acc/keys': 'service_accounts:read',
  'GET /service-accounts/:acc/keys/new': 'service_accounts:manage',
  'GET /service-accounts/:acc/keys/new/browser': 'service_accounts:manage',
  'POST /service-accounts/:acc/keys/new/browser': 'service_accounts:manage',
  'GET /service-accounts/:acc/keys/new/generate': 'service_accounts:manage',
  'POST /service-accounts/:acc/keys/new/generate': 'service_accounts:manage',
  'GET /service-accounts/:acc/keys/new/register': 'service_accounts:manage',
  'POST /service-accounts/:acc/keys/new/register': 'service_accounts:manage',
  'GET /service-accounts/:acc/keys/new/api-token': 'service_accounts:manage',
  'POST /service-accounts/:acc/keys/new/api-token': 'service_accounts:manage',
  'GET /service-accounts/:acc/keys/:key': 'service_accounts:read',
  'POST /service-accounts/:acc/keys/:key': 'service_accounts:manage',
  'GET /service-accounts/:acc/keys/:key/disable': 'service_accounts:manage',
  'POST /service-accounts/:acc/keys/:key/disable': 'service_accounts:manage',
  'POST /service-accounts/:acc/keys/:key/enable': 'service_accounts:manage',
  'GET /service-accounts/:acc/keys/:key/delete': 'service_accounts:manage',
  'POST /service-accounts/:acc/keys/:key/delete': 'service_accounts:manage',
  'GET /roles': 'roles:read',
  'GET /roles/permissions': 'roles:read',
  'GET /roles/new': 'roles:manage',
  'POST /roles/new': 'roles:manage',
  'GET /roles/:role': 'roles:read',
  'GET /roles/:role/edit': 'roles:manage',
  'POST /roles/:role/edit': 'roles:manage',
  'GET /roles/:role/delete': 'roles:manage',
  'POST /roles/:role/delete': 'roles:manage',
  'GET /groups': 'groups:read',
  'GET /groups/new': 'groups:manage',
  'POST /groups/new': 'groups:manage',
  'GET /groups/:grp': 'groups:read',
  'GET /groups/:grp/edit': 'groups:manage',
  'POST /groups/:grp/edit': 'groups:manage',
  'GET /groups/:grp/delete': 'groups:manage',
  'POST /groups/:grp/delete': 'groups:manage',
  'GET /audit': 'audit:read',
  'GET /audit/export': 'audit:read',
  'GET /try-it': 'service_accounts:read',
  'POST /try-it': 'service_accounts:read',
  'GET /administrators': 'administrators:read',
  'GET /administrators/new': 'administrators:manage',
  'POST /administrators/new': 'administrators:manage',
  'GET /administrators/:adm': 'administrators:read',
  'GET /administrators/:adm/edit': 'administrators:manage',
  'POST /administrators/:adm/edit': 'administrators:manage',
  'GET /administrators/:adm/access': 'administrators:read',
  'GET /administrators/:adm/access/edit': 'administrators:manage',
  'POST /administrators/:adm/access/edit': 'administrators:manage',
  'GET /administrators/:adm/sessions': 'administrators:read',
  'POST /administrators/:adm/sessions/end': 'administrators:manage',
  'POST /administrators/:adm/sessions/:ses/end': 'administrators:manage',
  'GET /administrators/:adm/reset': 'administrators:manage',
  'POST /administrators/:adm/reset': 'administrators:manage',
  'GET /administrators/:adm/disable': 'administrators:manage',
  'POST /administrators/:adm/disable': 'administrators:manage',
  'POST /administrators/:adm/enable': 'administrators:manage',
  'GET /administrators/:adm/delete': 'administrators:manage',
  'POST /administrators/:adm/delete': 'administrators:manage',
  'GET /settings': 'organizations:read',
  'GET /settings/edit': 'organizations:manage',
  'POST /settings/edit': 'organizations:manage',
  'GET /settings/api-tokens/forbid': 'organizations:manage',
  'POST /settings/api-tokens/forbid': 'organizations:manage',
  'POST /settings/api-tokens/allow': 'organizations:manage',
  'GET /settings/single-sign-on': 'organizations:read',
  'POST /settings/single-sign-on': 'organizations:manage',
  'POST /settings/single-sign-on/test': 'organizations:manage',
  'GET /settings/single-sign-on/remove': 'organizations:manage',
  'POST /settings/single-sign-on/remove': 'organizations:manage',
}
const NEEDED_ON_THE_PLATFORM: Record<string, string> = {
  'GET /organizations': 'organizations:read',
  'GET /organizations/new': 'organizations:manage',
  'POST /organizations/new': 'organizations:manage',
  'GET /resource-servers': 'resource_servers:read',
  'GET /resource-servers/new': 'resource_servers:manage',
  'POST /resource-servers/new': 'resource_servers:manage',
  'GET /resource-servers/:rs': 'resource_servers:read',
  'GET /resource-servers/:rs/edit': 'resource_servers:manage',
  'POST /resource-servers/:rs/edit': 'resource_servers:manage',
  'GET /resource-servers/:rs/delete': 'resource_servers:manage',
  'POST /resource-servers/:rs/delete': 'resource_servers:manage',
  'GET /resource-servers/:rs/permissions': 'resource_servers:read',
  'POST /resource-servers/:rs/permissions': 'resource_servers:manage',
  'GET /resource-servers/:rs/permissions/edit': 'resource_servers:manage',
  'POST /resource-servers/:rs/permissions/edit': 'resource_servers:manage',
  'GET /resource-servers/:rs/permissions/remove': 'resource_servers:manage',
  'POST /resource-servers/:rs/permissions/remove': 'resource_servers:manage',
  'GET /resource-servers/:rs/credentials': 'resource_servers:read',
  'GET /resource-servers/:rs/secrets/new': 'resource_servers:manage',
  'POST /resource-servers/:rs/secrets/new': 'resource_servers:manage',
  'GET /resource-servers/:rs/secrets/:rss/delete': 'resource_servers:manage',
  'POST /resource-servers/:rs/secrets/:rss/delete': 'resource_servers:manage',
  'GET /resource-servers/:rs/keys/new': 'resource_servers:manage',
  'POST /resource-servers/:rs/keys/new': 'resource_servers:manage',
  'GET /resource-servers/:rs/keys/:rsk': 'resource_servers:read',
  'POST /resource-servers/:rs/keys/:rsk': 'resource_servers:manage',
  'GET /resource-servers/:rs/keys/:rsk/disable': 'resource_servers:manage',
  'POST /resource-servers/:rs/keys/:rsk/disable': 'resource_servers:manage',
  'POST /resource-servers/:rs/keys/:rsk/enable': 'resource_servers:manage',
  'GET /resource-servers/:rs/keys/:rsk/delete': 'resource_servers:manage',
  'POST /resource-servers/:rs/keys/:rsk/delete': 'resource_servers:manage',
  'GET /signing-keys': 'signing_keys:read',
  'GET /signing-keys/rotate': 'signing_keys:manage',
  'POST /signing-keys/rotate': 'signing_keys:manage',
  'GET /signing-keys/:sig': 'signing_keys:read',
  'GET /signing-keys/:sig/revoke': 'signing_keys:manage',
  'POST /signing-keys/:sig/revoke': 'signing_keys:manage',
}
/** Of organizations, for operators alone. */
const NEEDED_OF_OPERATORS: Record<string, string> = {
  'GET /settings/disable': 'organizations:manage',
  'POST /settings/disable': 'organizations:manage',
  'POST /settings/enable': 'organizations:manage',
  'GET /settings/delete': 'organizations:manage',
  'POST /settings/delete': 'organizations:manage',
}

const ALL = MANAGEMENT_PERMISSIONS.map((permission) => permission.name as string)

let server: TestServer
/** What is in an organization. A screen with other ids in its path adds them to `furnish`. */
type Place = Fixture & { ids: Record<string, string> }
let own: Place
let foreign: Place
let slugs: { own: string; foreign: string }
beforeAll(async () => {
  server = await startTestServer()
  own = await furnish(await server.createFixture({ algorithm: 'ES256' }))
  foreign = await furnish(await server.createFixture({ algorithm: 'ES256' }))
  slugs = { own: await slugOf(own), foreign: await slugOf(foreign) }
})
afterAll(async () => {
  await server?.close()
})

async function furnish(fixture: Fixture): Promise<Place> {
  const path = `/organizations/${fixture.organizationId}`
  const role = await must(server.api('POST', `${path}/roles`, { name: 'Bookkeeping' }))
  const group = await must(server.api('POST', `${path}/groups`, { name: 'Northern branch' }))
  await fixture.getToken()
  const { items: tokens } = await must(server.api('GET', `${fixture.accountPath}/tokens`))
  const administrator = await createAdministrator(server, fixture.organizationId)
  const browser = await signIn(server, administrator)
  const { id: session } = (await must(browser.call('GET', '/sessions'))).items[0]
  await must(
    server.api('PUT', `${path}/identity-provider`, {
      issuer: 'https://login.example.test',
      client_id: 'countersign',
      email_domains: ['example.test'],
    }),
  )
  const { items: secrets } = await must(
    server.api('GET', `/resource-servers/${fixture.resourceServer.id}/secrets`),
  )
  const { items: signingKeys } = await must(server.api('GET', '/signing-keys'))
  return {
    ...fixture,
    ids: {
      ':acc': fixture.accountId,
      ':key': fixture.keyId,
      ':role': role.id,
      ':grp': group.id,
      ':tok': tokens[0].id,
      ':adm': administrator.id,
      ':ses': session,
      ':rss': secrets[0].id,
      ':rsk': fixture.keyId,
      ':rs': fixture.resourceServer.id,
      ':sig': signingKeys[0].id,
    },
  }
}

async function slugOf({ organizationId }: Fixture): Promise<string> {
  return (await must(server.api('GET', `/organizations/${organizationId}`))).slug
}

const clients = new Map<string, Promise<ConsoleClient>>()
/** Somebody of the first organization with these permissions, signed in. */
function clientWith(permissions: readonly string[]): Promise<ConsoleClient> {
  const key = permissions.join(' ')
  const client = clients.get(key) ?? create()
  clients.set(key, client)
  return client

  async function create(): Promise<ConsoleClient> {
    const management = await managementServerId(server)
    const administrator = await createAdministrator(server, own.organizationId, {
      permissions: permissions.map((permission) => ({ resource_server_id: management, permission })),
    })
    return createConsoleClient(server, administrator)
  }
}

function pathOf(path: string, { ids }: Place): string {
  return Object.entries(ids).reduce((text, [name, id]) => text.replace(name, id), path)
}

function ask(client: ConsoleClient, method: string, path: string): Promise<Answer> {
  return method === 'GET' ? client.get(path) : client.post(path)
}

test('every screen of an organization and of the platform is written down here', () => {
  const tell = (screens: typeof SCREENS | typeof PLATFORM) =>
    Object.fromEntries(screens.map(([method, path, permission]) => [`${method} ${path}`, permission]))
  expect(tell(SCREENS)).toEqual(NEEDED)
  expect(tell(PLATFORM)).toEqual(NEEDED_ON_THE_PLATFORM)
  expect(tell(TENANT)).toEqual(NEEDED_OF_OPERATORS)
})

describe.each(SCREENS.map(([method, path]) => [method, path] as const))('%s %s', (method, path) => {
  const needed = NEEDED[`${method} ${path}`] as string
  const here = (slug: string, place: Place) => `/organizations/${slug}${pathOf(path, place)}`

  test('is refused to who has every permission but the one that it needs', async () => {
    const client = await clientWith(ALL.filter((name) => name !== needed))
    const before = await takeStock(own)
    const answer = await ask(client, method, here(slugs.own, own))
    expect(answer.status).toBe(403)
    expect(answer.text).toContain('You may not do this')
    expect(await takeStock(own)).toEqual(before)
  })

  test('is not there in another organization, nor for what is in another one', async () => {
    const client = await clientWith(ALL)
    const before = await takeStock(foreign)
    const answers = [
      await ask(client, method, here(slugs.foreign, foreign)),
      await ask(client, method, here('no-such-organization', foreign)),
      ...(path.includes(':') ? [await ask(client, method, here(slugs.own, foreign))] : []),
    ]
    for (const answer of answers) {
      expect(answer.status).toBe(404)
      expect(comparable(answer)).toBe(comparable(answers[0]!))
    }
    expect(await takeStock(foreign)).toEqual(before)
  })

  test('leads who is not signed in to the sign-in page', async () => {
    const stranger = await createConsoleClient(server)
    const answer = await ask(stranger, method, here(slugs.own, own))
    expect(answer.status).toBe(303)
    expect(answer.headers.get('location')).toMatch(/^\/console\/sign-in(\?|$)/)
  })
})

test.each(SCREENS.filter(([method]) => method === 'GET').map(([, path]) => path))(
  'GET %s is shown to who has the one permission',
  async (path) => {
    const client = await clientWith([NEEDED[`GET ${path}`] as string])
    expect((await client.get(`/organizations/${slugs.own}${pathOf(path, own)}`)).status).toBe(200)
  },
)

/** A person of the operator organization who may do everything but that. */
async function operatorWithout(needed: string): Promise<ConsoleClient> {
  const { organization } = await must(server.api('GET', '/me'))
  const management = await managementServerId(server)
  const without = await createAdministrator(server, organization.id, {
    permissions: ALL.filter((name) => name !== needed).map((permission) => ({
      resource_server_id: management,
      permission,
    })),
  })
  return createConsoleClient(server, without)
}

test.each(PLATFORM.map(([method, path]) => [method, path] as const))(
  '%s %s is for operators with its permission alone',
  async (method, path) => {
    const here = pathOf(path, own)
    const tenant = await clientWith(ALL)
    expect((await ask(tenant, method, here)).status).toBe(403)
    const operator = await operatorWithout(NEEDED_ON_THE_PLATFORM[`${method} ${path}`] as string)
    expect((await ask(operator, method, here)).status).toBe(403)
  },
)

test.each(TENANT.map(([method, path]) => [method, path] as const))(
  '%s of an organization %s is for operators with its permission alone',
  async (method, path) => {
    const tenant = await clientWith(ALL)
    expect((await ask(tenant, method, `/organizations/${slugs.own}${path}`)).status).toBe(403)
    const foreignPage = await ask(tenant, method, `/organizations/${slugs.foreign}${path}`)
    const noPage = await ask(tenant, method, `/organizations/no-such-organization${path}`)
    expect([foreignPage.status, noPage.status]).toEqual([404, 404])
    expect(comparable(foreignPage)).toBe(comparable(noPage))
    const operator = await operatorWithout(NEEDED_OF_OPERATORS[`${method} ${path}`] as string)
    expect((await ask(operator, method, `/organizations/${slugs.foreign}${path}`)).status).toBe(403)
    const { status } = await must(server.api('GET', `/organizations/${foreign.organizationId}`))
    expect(status).toBe('active')
  },
)

test('an operator acts in every organization, and the trail there names them', async () => {
  const { organization } = await must(server.api('GET', '/me'))
  const operator = await createAdministrator(server, organization.id, {
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
  const client = await createConsoleClient(server, operator)
  const { id, slug } = await createOrganization(server)
  const answer = await client.post(`/organizations/${slug}/service-accounts/new`, {
    name: 'Made by the operator',
    first_key: 'none',
  })
  expect(answer.status).toBe(303)
  const { items } = await must(server.api('GET', `/organizations/${id}/audit-events`))
  expect(items[0]).toMatchObject({ action: 'service_account.created', actor: { id: operator.id } })
})

test('nobody reaches the sessions of somebody else', async () => {
  const [one, other] = await Promise.all([somebody(), somebody()])
  const client = await createConsoleClient(server, one)
  const victim = await createConsoleClient(server, other)
  const { items } = await must(
    server.api('GET', `/organizations/${own.organizationId}/administrators/${other.id}/sessions`),
  )
  await client.post(`/security/sessions/${items[0].id}/end`)
  expect((await victim.get('/security')).status).toBe(200)
  expect(OWN.some(([, path]) => path.includes(':ses'))).toBe(true)

  function somebody(): Promise<TestAdministrator> {
    return createAdministrator(server, own.organizationId)
  }
})

/** What a screen could change. */
async function takeStock({ organizationId }: Fixture) {
  const nouns = ['service-accounts', 'roles', 'groups', 'administrators']
  const lists = nouns.map((noun) =>
    must(server.api('GET', `/organizations/${organizationId}/${noun}?limit=200`)),
  )
  const items = (await Promise.all(lists)).flatMap((list) => list.items)
  return items.map(({ last_used_at: _, ...rest }: Record<string, unknown>) => rest)
}

/** A page without what names this one request. */
function comparable({ headers, text }: Answer): string {
  const requestId = headers.get('x-request-id') ?? ''
  return text
    .replaceAll(requestId, 'ID')
    .replaceAll(/<main[\s\S]*?<\/main>|[\s\S]/g, (part) => (part.startsWith('<main') ? part : ''))
}
