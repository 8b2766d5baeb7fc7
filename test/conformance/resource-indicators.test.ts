import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { decode } from '../support/jwt.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor } from './support.ts'

let server: TestServer
/** Has `read` and `write` on its own resource server, and nothing else. */
let fixture: Fixture
/** Another account's resource server. */
let foreign: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
  foreign = await server.createFixture()
})
afterAll(() => server.close())

type Resources = string | readonly string[]

/** A token request of the fixture's account for these resources. */
async function askFor(resources: Resources, options: { by?: Fixture; scope?: string } = {}): Promise<Answer> {
  const { by = fixture, scope } = options
  const values = typeof resources === 'string' ? [resources] : resources
  return server.post('/oauth/token', [
    ['grant_type', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
    ['assertion', await by.assertion()],
    ...values.map((value): [string, string] => ['resource', value]),
    ...(scope === undefined ? [] : [['scope', scope] as [string, string]]),
  ])
}

async function expectInvalidTarget(reason: string, ask: () => Promise<Answer>): Promise<Answer> {
  const answer = await expectNothingIssued(server, ask)
  await expectRefusalFor(server, answer, { error: 'invalid_target', reason })
  return answer
}

/** A resource server, and permissions on it for the account beside those that it has. */
async function addAccess(by: Fixture, identifier: string): Promise<string> {
  const created = await must(
    server.api('POST', '/resource-servers', {
      identifier,
      name: identifier,
      permissions: [{ name: 'read', description: 'read' }],
    }),
  )
  const { permissions } = await must(server.api('GET', by.accountPath))
  await must(
    server.api('PATCH', by.accountPath, {
      permissions: [...permissions, { resource_server_id: created.id, permission: 'read' }],
    }),
  )
  return created.id
}

test.each([
  '/x',
  'foo',
  'https://h/#f',
  'https://h/#',
  '://h',
  ':h',
  '//h/x',
  'https:',
  'https://',
  'https://h/ x',
  '1https://h',
  'https://h:port/',
])('[8707-2-1] the resource %j is no absolute URI without a fragment', async (resource) => {
  await expectInvalidTarget('target_malformed', () => askFor(resource))
})

test('[8707-2-1] a fragment on a known identifier is refused', async () => {
  await expectInvalidTarget('target_malformed', () => askFor(`${fixture.resourceServer.identifier}#f`))
})

test('[8707-2-2] a query component is part of the identifier', async () => {
  const account = await server.createFixture()
  const identifier = `${account.resourceServer.identifier}?a=1&b=%20x`
  await addAccess(account, identifier)
  const answer = await askFor(identifier, { by: account })
  expect(answer).toMatchObject({ status: 200, body: { scope: 'read' } })
  expect(decode(answer.body.access_token).claims.aud).toBe(identifier)
  await expectInvalidTarget('target_not_allowed', () => askFor(`${identifier}&c=2`, { by: account }))
})

test('[8707-2-3] an unregistered resource and one without permissions are answered alike', async () => {
  const answers = [
    await expectInvalidTarget('target_not_allowed', () => askFor('https://nobody.example.test')),
    await expectInvalidTarget('target_not_allowed', () => askFor(foreign.resourceServer.identifier)),
    await expectInvalidTarget('target_not_allowed', () => askFor(`${server.issuer}/api/v1`)),
    await expectInvalidTarget('target_not_allowed', () =>
      askFor(foreign.resourceServer.identifier, { scope: 'read' }),
    ),
  ]
  expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
})

test('[8707-2-4] one resource at a time: never silently the first', async () => {
  const account = await server.createFixture()
  const own = account.resourceServer.identifier
  const second = `${own}/second`
  await addAccess(account, second)
  const answers: Answer[] = []
  for (const resources of [
    [own, second],
    [second, own],
    [own, 'https://nobody.example.test'],
    [own, foreign.resourceServer.identifier],
    [own, own],
  ]) {
    answers.push(await expectInvalidTarget('target_ambiguous', () => askFor(resources, { by: account })))
  }
  expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
  await expectInvalidTarget('target_malformed', () => askFor([own, 'foo'], { by: account }))
  for (const resource of [own, second]) {
    const answer = await askFor(resource, { by: account })
    expect(decode(answer.body.access_token).claims.aud).toBe(resource)
  }
})

test('[8707-2-5] an account that could mean several resource servers must name one', async () => {
  const account = await server.createFixture()
  const second = `${account.resourceServer.identifier}/second`
  await addAccess(account, second)
  await expectInvalidTarget('target_ambiguous', () => account.requestToken())
  const read = await expectInvalidTarget('target_ambiguous', () =>
    account.requestToken({ form: { scope: 'read' } }),
  )
  expect(read.body.error_description).toContain('resource')
  // Only one of them knows «write», so that one is meant.
  const write = await account.requestToken({ form: { scope: 'write' } })
  expect(decode(write.body.access_token).claims.aud).toBe(account.resourceServer.identifier)
})

test('[8707-2-6] token and introspection name the audience', async () => {
  const opaque = await server.createFixture({ tokenFormat: 'opaque' })
  for (const by of [fixture, opaque]) {
    const { identifier } = by.resourceServer
    const token = (await askFor(identifier, { by })).body.access_token
    expect((await by.introspect(token)).body).toMatchObject({ active: true, aud: identifier })
    if (by === fixture) expect(decode(token).claims.aud).toBe(identifier)
  }
})

test('[8707-2.2] a scope that the resource does not know refuses the request; nothing is dropped', async () => {
  const account = await server.createFixture()
  const second = `${account.resourceServer.identifier}/second`
  await addAccess(account, second)
  // «write» is the account's, but on the other resource server.
  const answer = await expectNothingIssued(server, () => askFor(second, { by: account, scope: 'read write' }))
  await expectRefusalFor(server, answer, { error: 'invalid_scope', reason: 'scope_not_granted' })
  expect(await askFor(second, { by: account })).toMatchObject({ status: 200, body: { scope: 'read' } })
})

test('[8707-p1] a resource is compared as it is written, with the registry alone', async () => {
  const account = await server.createFixture()
  const { identifier } = account.resourceServer
  const url = new URL(identifier)
  for (const spelling of [
    identifier.replace(url.host, url.host.toUpperCase()),
    `${identifier}/`,
    identifier.replace(url.host, `${url.host}:443`),
    identifier.replace('https:', 'HTTPS:'),
    identifier.replace('https:', 'http:'),
    identifier.replace('/api.', '/%61pi.'),
    `${identifier}?`,
    `${identifier}/../${url.pathname.slice(1)}`,
    `${identifier}/.`,
  ]) {
    await expectInvalidTarget('target_not_allowed', () => askFor(spelling, { by: account }))
  }
  expect((await askFor(identifier, { by: account })).status).toBe(200)
})
