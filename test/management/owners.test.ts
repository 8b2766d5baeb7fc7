import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  builtInRoleId,
  type Client,
  createClient,
  createOrganization,
  expectProblem,
  managementServerId,
} from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let owner: string
beforeAll(async () => {
  server = await startTestServer()
  owner = await builtInRoleId(server, 'owner')
})
afterAll(() => server.close())

const createOwner = (organizationId: string): Promise<Client> =>
  createClient(server, { organizationId, permissions: [], access: { role_ids: [owner] } })

describe('the last owner of an organization stays (promise 8)', () => {
  test.each<[string, string, Record<string, unknown> | undefined]>([
    ['deleted', 'DELETE', undefined],
    ['disabled', 'PATCH', { status: 'disabled' }],
    ['deprived of the role', 'PATCH', { role_ids: [] }],
  ])('it cannot be %s, until there is another active one', async (_what, method, body) => {
    const { id } = await createOrganization(server)
    const last = await createOwner(id)
    const refused = await server.api(method, last.accountPath, body)
    expectProblem(refused, 409, 'last_owner')
    expect(await must(server.api('GET', last.accountPath))).toMatchObject({
      status: 'active',
      role_ids: [owner],
    })
    expect((await last.call('GET', '/me')).status).toBe(200)

    const idle = await createOwner(id)
    await must(server.api('PATCH', idle.accountPath, { status: 'disabled' }))
    expectProblem(await server.api(method, last.accountPath, body), 409, 'last_owner')
    await must(server.api('PATCH', idle.accountPath, { status: 'active' }))
    expect((await server.api(method, last.accountPath, body)).status).toBeLessThan(300)
    expectProblem(await server.api('DELETE', idle.accountPath), 409, 'last_owner')
  })

  test('every other change to it goes through, and an organization without owners is not bound', async () => {
    const { id } = await createOrganization(server)
    const last = await createOwner(id)
    const patched = await server.api('PATCH', last.accountPath, { name: 'Owner', permissions: [] })
    expect(patched.status).toBe(200)
    const other = await createOrganization(server)
    const path = `/organizations/${other.id}/service-accounts`
    const account = await must(server.api('POST', path, { name: 'a' }))
    expect((await server.api('DELETE', `${path}/${account.id}`)).status).toBe(204)
  })

  test('two owners that remove each other at once leave one', async () => {
    for (let round = 0; round < 3; round++) {
      const { id } = await createOrganization(server)
      const [one, other] = [await createOwner(id), await createOwner(id)]
      const answers = await Promise.all([
        one.call('DELETE', other.accountPath),
        other.call('PATCH', one.accountPath, round % 2 === 0 ? { role_ids: [] } : { status: 'disabled' }),
      ])
      expect(answers.filter((answer) => answer.status < 300)).toHaveLength(1)
      const refused = answers.find((answer) => answer.status >= 300)
      expect([401, 403, 409]).toContain(refused?.status)
      const { items } = await must(server.api('GET', `/organizations/${id}/service-accounts`))
      const owners = items.filter(
        (item: { status: string; role_ids: string[] }) =>
          item.status === 'active' && item.role_ids.includes(owner),
      )
      expect(owners).toHaveLength(1)
    }
  })

  test('an owner does everything in its organization and nothing outside', async () => {
    const { id } = await createOrganization(server)
    const client = await createOwner(id)
    const accounts = `/organizations/${id}/service-accounts`
    expect((await client.call('POST', accounts, { name: 'a', role_ids: [owner] })).status).toBe(201)
    expect((await client.call('POST', `/organizations/${id}/groups`, { name: 'g' })).status).toBe(201)
    expect((await client.call('GET', `/organizations/${id}/audit-events`)).status).toBe(200)
    expectProblem(await client.call('GET', '/resource-servers'), 403, 'permission_missing')
    expectProblem(
      await client.call('POST', '/organizations', { slug: 'x', name: 'x' }),
      403,
      'permission_missing',
    )
  })
})

describe('the platform keeps an owner', () => {
  test('also where it holds its permission by a role of its own', async () => {
    const me = await must(server.api('GET', '/me'))
    const organization = `/organizations/${me.organization.id}`
    const operator = `${organization}/service-accounts/${me.account.id}`
    const { permissions } = await must(server.api('GET', operator))
    const isOwnership = (entry: { permission: string }) => entry.permission === 'organizations:manage'
    const ownership = permissions.filter(isOwnership)
    const role = await must(
      server.api('POST', `${organization}/roles`, { name: 'Platform', permissions: ownership }),
    )
    const without = permissions.filter((entry: { permission: string }) => !isOwnership(entry))
    expectProblem(await server.api('PATCH', operator, { permissions: without }), 409, 'last_owner')
    await must(server.api('PATCH', operator, { role_ids: [role.id], permissions: without }))
    expectProblem(await server.api('PATCH', operator, { role_ids: [] }), 409, 'last_owner')
    const path = `${organization}/roles/${role.id}`
    expectProblem(await server.api('PATCH', path, { permissions: [] }), 409, 'last_owner')
    expect((await must(server.api('GET', path))).permissions).toEqual(ownership)
    expectProblem(await server.api('DELETE', operator), 409, 'last_owner')
  })
})

test('roles are edited while they are given and taken, and nobody waits in a circle', async () => {
  const { id } = await createOrganization(server)
  const organization = `/organizations/${id}`
  await createOwner(id)
  const clients = [await createOwner(id), await createOwner(id)]
  const role = await must(server.api('POST', `${organization}/roles`, { name: 'Busy' }))
  const management = await managementServerId(server)
  const permissions = [{ resource_server_id: management, permission: 'audit:read' }]
  const answers = await Promise.all(
    Array.from({ length: 18 }, (_, index) => {
      const body = Math.floor(index / 3) % 2 === 0 ? { role_ids: [owner, role.id] } : { role_ids: [role.id] }
      return index % 3 === 2
        ? server.api('PATCH', `${organization}/roles/${role.id}`, {
            permissions: index % 6 === 2 ? permissions : [],
          })
        : server.api('PATCH', clients[index % 3]!.accountPath, body)
    }),
  )
  expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200))
})
