import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { changeWhile } from '../support/held-account.ts'
import { type Client, createClient, expectProblem } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let powerful: Fixture
let keyPath: string
/** Manages the accounts of the organization, and may do nothing else. */
let manager: Client

beforeAll(async () => {
  server = await startTestServer()
  powerful = await server.createFixture({ algorithm: 'ES256' })
  keyPath = `${powerful.accountPath}/keys/${powerful.keyId}`
  manager = await createClient(server, {
    organizationId: powerful.organizationId,
    permissions: ['service_accounts:read', 'service_accounts:manage'],
  })
})

afterAll(() => server.close())

test('nobody enables a key of an account that may do more than they may', async () => {
  await must(manager.call('PATCH', keyPath, { status: 'disabled' }))
  expectProblem(await manager.call('PATCH', keyPath, { status: 'active' }), 403, 'permission_not_held')
  expect((await powerful.requestToken()).status).toBe(400)
  await must(server.api('PATCH', keyPath, { status: 'active' }))
  expect((await powerful.requestToken()).status).toBe(200)
})

test('nobody prolongs a key of an account that may do more than they may; shortening it is open to them', async () => {
  const soon = new Date(server.clock.now() + 3_600_000).toISOString()
  const later = new Date(server.clock.now() + 7_200_000).toISOString()
  await must(manager.call('PATCH', keyPath, { expires_at: soon }))
  for (const expires_at of [later, null])
    expectProblem(await manager.call('PATCH', keyPath, { expires_at }), 403, 'permission_not_held')
  await must(server.api('PATCH', keyPath, { expires_at: null }))
})

test('nobody enables an account that may do more than they may', async () => {
  const { accountPath } = powerful
  await must(manager.call('PATCH', accountPath, { status: 'disabled' }))
  expectProblem(await manager.call('PATCH', accountPath, { status: 'active' }), 403, 'permission_not_held')
  expectProblem(
    await manager.call('PATCH', accountPath, { status: 'active', name: 'x' }),
    403,
    'permission_not_held',
  )
  await must(manager.call('PATCH', accountPath, { status: 'active', permissions: [] }))
})

test('nobody allows API tokens again where an account has one and may do more than they may', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  const organization = `/organizations/${fixture.organizationId}`
  const steward = await createClient(server, {
    organizationId: fixture.organizationId,
    permissions: ['organizations:read', 'organizations:manage'],
  })
  const allow = (allow_api_tokens: boolean) =>
    steward.call('PATCH', organization, { settings: { allow_api_tokens } })
  await must(allow(false))
  await must(allow(true))
  const { key } = await must(server.api('POST', `${fixture.accountPath}/keys`, { type: 'api_token' }))
  await must(allow(false))
  expectProblem(await allow(true), 403, 'permission_not_held')
  expect((await must(server.api('GET', organization))).settings.allow_api_tokens).toBe(false)
  await must(server.api('DELETE', `${fixture.accountPath}/keys/${key.id}`))
  await must(allow(true))
})

test('nobody says how assertions of an account are judged that may do more than they may', async () => {
  const { accountPath } = await server.createFixture({
    algorithm: 'ES256',
    organizationId: powerful.organizationId,
  })
  const before = (await must(server.api('GET', accountPath))).assertion_policy
  for (const change of [
    { require_jti: true },
    { max_lifetime_seconds: 60 },
    { extra_audiences: ['https://mine.example/token'] },
  ]) {
    const answer = await manager.call('PATCH', accountPath, { assertion_policy: change })
    expectProblem(answer, 403, 'permission_not_held')
  }
  await must(manager.call('PATCH', accountPath, { name: 'renamed', assertion_policy: before }))
  expect((await must(server.api('GET', accountPath))).assertion_policy).toEqual(before)
})

test('a key that is asked for while its account is given more is not made', async () => {
  const { accountPath, accountId, resourceServer } = await server.createFixture({
    algorithm: 'ES256',
    organizationId: powerful.organizationId,
    permissions: [],
  })
  const answer = await changeWhile(
    server,
    accountId,
    () => manager.call('POST', `${accountPath}/keys`, { type: 'api_token' }),
    (giver) =>
      giver.query('insert into account_permissions values ($1, $2, $3)', [
        accountId,
        resourceServer.id,
        'read',
      ]),
  )
  expectProblem(answer, 403, 'permission_not_held')
})
