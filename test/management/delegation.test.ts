import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { changeWhile } from '../support/held-account.ts'
import {
  type Client,
  createClient,
  expectProblem,
  managementServerId,
  pointersOf,
} from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let accounts: string
let management: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  accounts = `/organizations/${fixture.organizationId}/service-accounts`
  management = await managementServerId(server)
})
afterAll(() => server.close())

const on = (permission: string) => ({ resource_server_id: fixture.resourceServer.id, permission })
const toRead = (...subjects: string[]) => ({ subjects, permissions: [on('read')] })

describe('a delegation', () => {
  test('is given, changed by parts, and taken away', async () => {
    const patch = (delegation: unknown) => server.api('PATCH', fixture.accountPath, { delegation })
    const given = await must(patch({ subjects: ['user-*', 'root', 'root'], permissions: [on('read')] }))
    expect(given.delegation).toEqual(toRead('root', 'user-*'))
    const others = await must(patch({ subjects: ['guest-*'] }))
    expect(others.delegation).toEqual(toRead('guest-*'))
    const more = await must(patch({ permissions: [on('write'), on('read')] }))
    expect(more.delegation).toEqual({ subjects: ['guest-*'], permissions: [on('read'), on('write')] })
    expect((await must(server.api('PATCH', fixture.accountPath, { name: 'same' }))).delegation).toEqual(
      more.delegation,
    )
    expect((await must(patch(null))).delegation).toBeNull()
    const half = await patch({ subjects: ['user-*'] })
    expectProblem(half, 422, 'input_invalid')
    expect(pointersOf(half)).toEqual(['/delegation/permissions'])
  })

  test.each(['', 'a b', '*a', 'a*b', 'a**', 'ü', 'a\tb', 'x'.repeat(256)])(
    'takes no subject like %j',
    async (subject) => {
      const refused = await server.api('POST', accounts, { name: 'x', delegation: toRead(subject) })
      expectProblem(refused, 422, 'input_invalid')
      expect(pointersOf(refused)).toEqual(['/delegation/subjects/0'])
    },
  )

  test('lends permissions that are defined, and none of the management API', async () => {
    const lend = (permission: unknown) =>
      server.api('POST', accounts, {
        name: 'x',
        delegation: { subjects: ['user-*'], permissions: [on('read'), permission] },
      })
    const undefinedOne = await lend(on('fly'))
    expectProblem(undefinedOne, 422, 'input_invalid')
    expect(pointersOf(undefinedOne)).toEqual(['/delegation/permissions/1'])
    const managing = await lend({ resource_server_id: management, permission: 'audit:read' })
    expectProblem(managing, 422, 'input_invalid')
    expect(pointersOf(managing)).toEqual(['/delegation/permissions/1'])
  })

  test('stands in the trail before and after, and loses what is no longer defined', async () => {
    const own = await server.createFixture({ algorithm: 'ES256', organizationId: fixture.organizationId })
    const ofOwn = (permission: string) => ({ resource_server_id: own.resourceServer.id, permission })
    const delegation = { subjects: ['user-*'], permissions: [ofOwn('admin'), ofOwn('read')] }
    await must(server.api('PATCH', own.accountPath, { delegation }))
    const trail = `/organizations/${own.organizationId}/audit-events?target=${own.accountId}`
    const [given] = (await must(server.api('GET', trail))).items
    expect(given.changes).toEqual({ before: { delegation: null }, after: { delegation } })

    await must(
      server.api('PATCH', `/resource-servers/${own.resourceServer.id}`, { permissions: [{ name: 'read' }] }),
    )
    const kept = { subjects: ['user-*'], permissions: [ofOwn('read')] }
    expect((await must(server.api('GET', own.accountPath))).delegation).toEqual(kept)
    const [lost] = (await must(server.api('GET', trail))).items
    expect(lost.changes.after.delegation).toEqual(kept)
  })

  test('does not come back when it is taken while the definition of one of its permissions goes', async () => {
    const own = await server.createFixture({ algorithm: 'ES256', organizationId: fixture.organizationId })
    const ofOwn = (permission: string) => ({ resource_server_id: own.resourceServer.id, permission })
    const delegation = { subjects: ['user-*'], permissions: [ofOwn('admin'), ofOwn('read')] }
    await must(server.api('PATCH', own.accountPath, { delegation }))
    const answer = await changeWhile(
      server,
      own.accountId,
      () =>
        server.api('PATCH', `/resource-servers/${own.resourceServer.id}`, {
          permissions: [{ name: 'read' }],
        }),
      async (client) => {
        // As whoever gives the permission does, after the account: neither waits for the other in a circle.
        await client.query(
          `select from permissions where resource_server_id = $1 and name = 'admin' for key share`,
          [own.resourceServer.id],
        )
        await client.query('update accounts set delegation = null where id = $1', [own.accountId])
      },
    )
    expect(answer.status).toBe(200)
    expect((await must(server.api('GET', own.accountPath))).delegation).toBeNull()
  })
})

describe('nobody lends what they do not hold (promise 8)', () => {
  let manager: Client
  beforeAll(async () => {
    manager = await createClient(server, {
      organizationId: fixture.organizationId,
      permissions: ['service_accounts:read', 'service_accounts:manage'],
      others: [on('read')],
    })
  })

  test('in a new account or one that exists', async () => {
    const given = await manager.call('POST', accounts, { name: 'a', delegation: toRead('user-*') })
    expect(given.status).toBe(201)
    const delegation = { subjects: ['user-*'], permissions: [on('read'), on('write')] }
    const refused = await manager.call('POST', accounts, { name: 'b', delegation })
    expectProblem(refused, 403, 'permission_not_held')
    expect(refused.body.detail).toContain('write')
    const path = `${accounts}/${given.body.id}`
    expectProblem(await manager.call('PATCH', path, { delegation }), 403, 'permission_not_held')
    const held = { resource_server_id: management, permission: 'audit:read' }
    const managing = { subjects: ['user-*'], permissions: [held] }
    expectProblem(await manager.call('PATCH', path, { delegation: managing }), 403, 'permission_not_held')
  })

  test('nor widens for whom something is lent that they lack', async () => {
    const delegation = { subjects: ['user-*'], permissions: [on('write')] }
    const account = await must(server.api('POST', accounts, { name: 'c', delegation }))
    const path = `${accounts}/${account.id}`
    const widened = await manager.call('PATCH', path, { delegation: { subjects: ['user-*', 'root'] } })
    expectProblem(widened, 403, 'permission_not_held')
    expect((await manager.call('PATCH', path, { name: 'renamed' })).status).toBe(200)
    expect((await manager.call('PATCH', path, { delegation: null })).status).toBe(200)
  })

  test('nor makes a key for an account that is lent more', async () => {
    const delegation = { subjects: ['user-*'], permissions: [on('write')] }
    const strong = await must(server.api('POST', accounts, { name: 'd', delegation }))
    expectProblem(
      await manager.call('POST', `${accounts}/${strong.id}/keys`, { type: 'rsa' }),
      403,
      'permission_not_held',
    )
    const weak = await must(server.api('POST', accounts, { name: 'e', delegation: toRead('user-*') }))
    expect((await manager.call('POST', `${accounts}/${weak.id}/keys`, { type: 'rsa' })).status).toBe(201)
  })
})
