import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { MANAGEMENT_PERMISSIONS } from '../../src/directory/management-permissions.ts'
import { ROUTES } from '../../src/management/router.ts'
import { type Client, createClient, createOrganization, expectProblem } from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, signIn, type TestAdministrator } from '../support/sign-in.ts'

/** Everything that a tenant could be given, so that only the border between tenants is left to refuse. */
const ALL = MANAGEMENT_PERMISSIONS.map((permission) => permission.name)
const UNKNOWN = '0'.repeat(36)
/** A body that each call would take. */
const BODIES: Record<string, unknown> = {
  'PATCH /organizations/:org': { name: 'Taken over' },
  'POST /organizations/:org/service-accounts': { name: 'Intruder' },
  'PUT /organizations/:org/identity-provider': {
    issuer: 'https://evil.example',
    client_id: 'evil',
    email_domains: ['people.example'],
  },
  'POST /organizations/:org/administrators': { name: 'Intruder', email: 'intruder@people.example' },
  'PATCH /organizations/:org/administrators/:acc': { name: 'Taken over' },
  'PATCH /organizations/:org/service-accounts/:acc': { name: 'Taken over' },
  'POST /organizations/:org/service-accounts/:acc/keys': { type: 'rsa' },
  'PATCH /organizations/:org/service-accounts/:acc/keys/:key': { name: 'Taken over' },
  'POST /organizations/:org/roles': { name: 'Intruders' },
  'PATCH /organizations/:org/roles/:role': { name: 'Taken over' },
  'POST /organizations/:org/groups': { name: 'Intruders' },
  'PATCH /organizations/:org/groups/:grp': { name: 'Taken over' },
}

let server: TestServer
let intruder: Client
let own: Fixture
let foreign: Fixture
let foreignToken: string
const madeIn = async (organizationId: string, noun: string) =>
  (await must(server.api('POST', `/organizations/${organizationId}/${noun}`, { name: noun }))).id
let ids: Record<string, string>
let ownIds: Record<string, string>
/** Paths of administrators name one of these. */
let people: { foreign: TestAdministrator; own: TestAdministrator }
beforeAll(async () => {
  server = await startTestServer()
  const { id } = await createOrganization(server)
  intruder = await createClient(server, { organizationId: id, permissions: ALL })
  own = await server.createFixture({ organizationId: id, algorithm: 'ES256' })
  foreign = await server.createFixture({ algorithm: 'ES256' })
  foreignToken = (await foreign.introspect(await foreign.getToken())).body.jti
  ids = {
    org: foreign.organizationId,
    acc: foreign.accountId,
    key: foreign.keyId,
    tok: foreignToken,
    role: await madeIn(foreign.organizationId, 'roles'),
    grp: await madeIn(foreign.organizationId, 'groups'),
    ses: '',
  }
  people = {
    foreign: await createAdministrator(server, foreign.organizationId),
    own: await createAdministrator(server, own.organizationId),
  }
  await signIn(server, people.foreign)
  ids.ses = (await must(server.api('GET', `${people.foreign.path}/sessions`))).items[0].id
  ownIds = { org: own.organizationId, acc: own.accountId, key: own.keyId }
})
afterAll(() => server.close())

const tenantRoutes = ROUTES.filter(([, path]) => path.includes(':org')).map(
  ([method, path]) => `${method} ${path}`,
)

describe('an id of another organization is answered exactly like one that was never given out', () => {
  test.each(tenantRoutes)('%s', async (name) => {
    const [method = '', path = ''] = name.split(' ')
    const parameters = (path.match(/:\w+/g) ?? []).map((parameter) => parameter.slice(1))
    const isOfPeople = path.includes('/administrators/:acc')
    const foreignIds = isOfPeople ? { ...ids, acc: people.foreign.id } : ids
    const precedingIds = isOfPeople ? { ...ownIds, acc: people.own.id } : ownIds
    // Each parameter in turn is the first foreign one on the way; those before it are the intruder's own.
    for (let position = 0; position < parameters.length; position++) {
      const fill = (at: (parameter: string) => string) =>
        parameters.reduce(
          (filled, parameter, index) =>
            filled.replace(`:${parameter}`, index < position ? precedingIds[parameter]! : at(parameter)),
          path,
        )
      // Organizations that only the platform may delete are refused whatever the id is.
      const real = await intruder.call(
        method,
        fill((parameter) => foreignIds[parameter]!),
        BODIES[name],
      )
      const unknown = await intruder.call(
        method,
        fill((parameter) => `${parameter}_${UNKNOWN}`),
        BODIES[name],
      )
      expect(comparable(real)).toEqual(comparable(unknown))
      expect(real.status).toBe(expectedStatus(name, position))
    }
  })

  /** Roles, groups and sessions that are over leave nothing behind: one that is not there, wherever, was deleted before. */
  function expectedStatus(name: string, position: number): number {
    if (name === 'DELETE /organizations/:org') return 403
    const isGone = /^DELETE .*\/:(role|grp)$/.test(name) && position === 1
    const isSession = /^DELETE .*\/:ses$/.test(name) && position === 2
    return isGone || isSession ? 204 : 404
  }

  test('and nothing of it was changed', async () => {
    const account = await must(server.api('GET', foreign.accountPath))
    expect(account.name).not.toBe('Taken over')
    const path = `/organizations/${foreign.organizationId}`
    expect((await must(server.api('GET', `${path}/roles/${ids.role}`))).name).toBe('roles')
    expect((await must(server.api('GET', `${path}/groups/${ids.grp}`))).name).toBe('groups')
    expect((await must(server.api('GET', people.foreign.path))).name).toBe(people.foreign.name)
    expect((await must(server.api('GET', `${people.foreign.path}/sessions`))).items).toHaveLength(1)
    expect((await server.api('GET', `${path}/identity-provider`)).status).toBe(404)
    const organization = await must(server.api('GET', path))
    expect(organization.name).not.toBe('Taken over')
    expect((await foreign.introspect(await foreign.getToken())).body.active).toBe(true)
    expect((await must(server.api('GET', `${foreign.accountPath}/keys`))).items).toHaveLength(1)
  })
})

describe('what belongs to the platform is not for tenants, whatever they may do in their own organization', () => {
  const platformRoutes = ROUTES.filter(([, path]) => !path.includes(':org') && !path.startsWith('/me'))
  const bodies: Record<string, unknown> = {
    'POST /organizations': { slug: 'intruders', name: 'Intruders' },
    'POST /resource-servers': { identifier: 'https://evil.example', name: 'Evil', permissions: [] },
    'PATCH /resource-servers/:rs': { name: 'Taken over' },
    'POST /resource-servers/:rs/secrets': { name: 'ours' },
    'POST /resource-servers/:rs/keys': { public_key: 'ours' },
    'PATCH /resource-servers/:rs/keys/:key': { name: 'Taken over' },
    'POST /signing-keys/rotate': {},
    'POST /signing-keys/:sig/revoke': {},
  }

  test.each(platformRoutes.map(([method, path]) => `${method} ${path}`))('%s', async (name) => {
    const [method = '', path = ''] = name.split(' ')
    const real: Record<string, string> = {
      rs: own.resourceServer.id,
      id: (await must(server.api('GET', `/resource-servers/${own.resourceServer.id}/secrets`))).items[0].id,
      sig: (await must(server.api('GET', '/signing-keys'))).items[0].id,
    }
    const fill = (at: (parameter: string) => string) =>
      path.replace(/:(\w+)/g, (_match, parameter) => at(parameter))
    const unknown = (parameter: string) => `${parameter === 'id' ? 'rss' : parameter}_${UNKNOWN}`
    const answers = [
      await intruder.call(
        method,
        fill((parameter) => real[parameter] ?? unknown(parameter)),
        bodies[name],
      ),
      await intruder.call(method, fill(unknown), bodies[name]),
    ]
    for (const answer of answers) expectProblem(answer, 403, 'permission_missing')
    expect(comparable(answers[0] as Answer)).toEqual(comparable(answers[1] as Answer))
  })
})

test('a key of a sibling account is not found under another one', async () => {
  const path = `${intruder.accountPath}/keys/${own.keyId}`
  expect((await intruder.call('GET', path)).status).toBe(404)
  expect((await intruder.call('DELETE', path)).status).toBe(404)
  const token = await own.getToken()
  const { jti } = (await own.introspect(token)).body
  expect((await intruder.call('DELETE', `${intruder.accountPath}/tokens/${jti}`)).status).toBe(404)
  expect((await own.introspect(token)).body.active).toBe(true)
})

test('the trail of one tenant never tells of another', async () => {
  const { items } = await must(
    intruder.call('GET', `/organizations/${own.organizationId}/audit-events?limit=200`),
  )
  expect(items.length).toBeGreaterThan(3)
  for (const item of items) expect(item.organization_id).toBe(own.organizationId)
})

test('an operator reaches every tenant with the same permission', async () => {
  expect((await server.api('GET', own.accountPath)).status).toBe(200)
  expect((await server.api('GET', foreign.accountPath)).status).toBe(200)
})

/** Everything but what names this one request. */
function comparable(answer: Answer): unknown {
  const headers = Object.fromEntries(answer.headers)
  const { 'x-request-id': requestId = '', date: _date, ...rest } = headers
  return { status: answer.status, headers: rest, text: answer.text.replaceAll(requestId, 'ID') }
}
