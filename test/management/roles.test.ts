import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { BUILT_IN_ROLES } from '../../src/directory/built-in-roles.ts'
import { MANAGEMENT_PERMISSIONS } from '../../src/directory/management-permissions.ts'
import {
  builtInRoleId,
  type Client,
  createClient,
  createOrganization,
  expectProblem,
  managementServerId,
  pointersOf,
} from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let management: string
let roles: string
let accounts: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256', permissions: ['read'] })
  management = await managementServerId(server)
  roles = `/organizations/${fixture.organizationId}/roles`
  accounts = `/organizations/${fixture.organizationId}/service-accounts`
})
afterAll(() => server.close())

const on = (permission: string) => ({ resource_server_id: fixture.resourceServer.id, permission })
const managing = (permission: string) => ({ resource_server_id: management, permission })
let count = 0
async function createRole(permissions: unknown[] = []): Promise<{ id: string; name: string }> {
  return must(server.api('POST', roles, { name: `Role ${++count}`, permissions }))
}

describe('built-in roles', () => {
  test('are there in every organization, with what their names say', async () => {
    const { items } = await must(server.api('GET', `${roles}?limit=200`))
    const builtIn = items.filter((item: { built_in: boolean }) => item.built_in)
    const names = (name: string) =>
      builtIn
        .find((item: { name: string }) => item.name === name)
        .permissions.map((entry: { permission: string }) => entry.permission)
    expect(builtIn.map((item: { name: string }) => item.name).sort()).toEqual(
      BUILT_IN_ROLES.map((role) => role.name).sort(),
    )
    const all = MANAGEMENT_PERMISSIONS.map((permission) => permission.name).sort()
    expect(names('owner').sort()).toEqual(all)
    expect(names('auditor').sort()).toEqual(all.filter((name) => name.endsWith(':read')))
    expect(names('viewer').sort()).toEqual(
      all.filter((name) => name.endsWith(':read') && name !== 'audit:read'),
    )
    expect(names('service_account_manager')).toEqual(
      expect.arrayContaining([
        'service_accounts:manage',
        'service_accounts:read',
        'roles:read',
        'groups:read',
      ]),
    )
    expect(names('service_account_manager')).not.toContain('roles:manage')
  })

  test('cannot be changed or deleted, and their names are taken in whatever spelling', async () => {
    const path = `${roles}/${await builtInRoleId(server, 'viewer')}`
    expect(await must(server.api('GET', path))).toMatchObject({ built_in: true, organization_id: null })
    expectProblem(await server.api('PATCH', path, { permissions: [] }), 409, 'built_in_protected')
    expectProblem(await server.api('DELETE', path), 409, 'built_in_protected')
    const own = await createRole()
    for (const name of ['owner', 'Owner', ' OWNER ', 'ｏｗｎｅｒ', 'own\u200ber', '\u2060owner\u00ad']) {
      expectProblem(await server.api('POST', roles, { name }), 409, 'name_taken')
      expectProblem(await server.api('PATCH', `${roles}/${own.id}`, { name }), 409, 'name_taken')
    }
  })
})

describe('roles of an organization', () => {
  test('are created, read, changed and deleted, each step in the trail', async () => {
    const created = await server.api('POST', roles, {
      name: 'Bookkeeping',
      description: 'For the ledger.',
      permissions: [on('write'), on('read'), on('read')],
    })
    expect(created.status).toBe(201)
    expect(created.body).toMatchObject({
      organization_id: fixture.organizationId,
      built_in: false,
      permissions: [on('read'), on('write')],
    })
    const path = `${roles}/${created.body.id}`
    expect(created.headers.get('location')).toBe(`/api/v1${path}`)
    expect(await must(server.api('GET', path))).toEqual(created.body)
    const changed = await must(server.api('PATCH', path, { name: 'Ledger', permissions: [on('read')] }))
    expect(changed).toMatchObject({
      name: 'Ledger',
      description: 'For the ledger.',
      permissions: [on('read')],
    })
    expect((await server.api('DELETE', path)).status).toBe(204)
    expect((await server.api('DELETE', path)).status).toBe(204)
    expectProblem(await server.api('GET', path), 404, 'resource_not_found')
    expectProblem(await server.api('PATCH', path, {}), 404, 'resource_not_found')

    const { items } = await must(
      server.api('GET', `/organizations/${fixture.organizationId}/audit-events?target=${created.body.id}`),
    )
    expect(items.map((item: { action: string }) => item.action)).toEqual([
      'role.deleted',
      'role.updated',
      'role.created',
    ])
    expect(items[1].changes).toEqual({
      before: { name: 'Bookkeeping', permissions: [on('read'), on('write')] },
      after: { name: 'Ledger', permissions: [on('read')] },
    })
  })

  test('have names of their own, and permissions that are defined', async () => {
    const { name } = await createRole()
    expectProblem(await server.api('POST', roles, { name }), 409, 'name_taken')
    expectProblem(await server.api('POST', roles, { name: name.toUpperCase() }), 409, 'name_taken')
    const elsewhere = await createOrganization(server)
    expect((await server.api('POST', `/organizations/${elsewhere.id}/roles`, { name })).status).toBe(201)
    const refused = await server.api('POST', roles, { name: 'x', permissions: [on('read'), on('fly')] })
    expectProblem(refused, 422, 'input_invalid')
    expect(pointersOf(refused)).toEqual(['/permissions/1'])
  })

  test('have names that read like themselves: nothing turns their direction or ends their line', async () => {
    for (const name of ['\u202erenwo', 'a\u2066b', 'a\u200fb', 'a\nb', 'a\u0085b']) {
      const answer = await server.api('POST', roles, { name })
      expectProblem(answer, 422, 'input_invalid')
      expect(pointersOf(answer)).toEqual(['/name'])
      expectProblem(await server.api('POST', accounts, { name }), 422, 'input_invalid')
    }
  })

  test('cannot be deleted while an account has them', async () => {
    const role = await createRole()
    const account = await must(server.api('POST', accounts, { name: 'a', role_ids: [role.id] }))
    const refused = await server.api('DELETE', `${roles}/${role.id}`)
    expectProblem(refused, 409, 'role_in_use')
    expect(refused.body.detail).toContain('1 account')
    await must(server.api('DELETE', `${accounts}/${account.id}`))
    expect((await server.api('DELETE', `${roles}/${role.id}`)).status).toBe(204)
  })

  test('are given by id; one of another organization is none', async () => {
    const other = await createOrganization(server)
    const foreign = await must(server.api('POST', `/organizations/${other.id}/roles`, { name: 'theirs' }))
    const mine = await createRole()
    for (const id of [foreign.id, `role_${'0'.repeat(36)}`]) {
      const refused = await server.api('POST', accounts, { name: 'x', role_ids: [mine.id, id] })
      expectProblem(refused, 422, 'input_invalid')
      expect(refused.body.errors).toEqual([
        { pointer: '/role_ids/1', detail: 'there is no role with that id' },
      ])
    }
  })
})

test('a new account can do nothing, until something is given', async () => {
  const account = await must(server.api('POST', accounts, { name: 'newborn' }))
  expect(account).toMatchObject({
    role_ids: [],
    permissions: [],
    group_access: [],
    groups_administrator: null,
    delegation: null,
  })
  const path = `${accounts}/${account.id}`
  expect((await must(server.api('GET', `${path}/effective-permissions`))).items).toEqual([])
  const newborn = await server.createFixture({
    algorithm: 'ES256',
    organizationId: fixture.organizationId,
    permissions: [],
  })
  expect((await newborn.requestToken()).body.error).toBe('invalid_scope')
  expect((await newborn.requestToken({ form: { scope: 'groups' } })).body.error).toBe('invalid_scope')
  const role = await createRole([{ resource_server_id: newborn.resourceServer.id, permission: 'read' }])
  await must(server.api('PATCH', newborn.accountPath, { role_ids: [role.id] }))
  expect((await newborn.requestToken()).body.scope).toBe('read')
})

describe('what a role gives', () => {
  test('is had at once by everybody who has it, and lost at once', async () => {
    const own = await server.createFixture({ algorithm: 'ES256', organizationId: fixture.organizationId })
    const ofOwn = (permission: string) => ({ resource_server_id: own.resourceServer.id, permission })
    const role = await createRole([ofOwn('admin')])
    await must(server.api('PATCH', own.accountPath, { permissions: [], role_ids: [role.id] }))
    const token = await own.getToken()
    expect((await own.introspect(token)).body).toMatchObject({ scope: 'admin', roles: [role.name] })

    await must(server.api('PATCH', `${roles}/${role.id}`, { permissions: [ofOwn('admin'), ofOwn('write')] }))
    expect((await own.introspect(await own.getToken())).body.scope).toBe('admin write')
    await must(server.api('PATCH', `${roles}/${role.id}`, { permissions: [ofOwn('write')] }))
    expect((await own.introspect(token)).body).toEqual({ active: false })
    const wide = await own.getToken()
    await must(server.api('PATCH', own.accountPath, { role_ids: [] }))
    expect((await own.introspect(wide)).body).toEqual({ active: false })
    expect((await must(server.api('GET', `${own.accountPath}/tokens`))).items).toEqual([])
  })

  test('is explained, each permission once with every way in which it is given', async () => {
    const one = await createRole([on('read'), on('write')])
    const other = await createRole([on('write')])
    const account = await must(
      server.api('POST', accounts, {
        name: 'explained',
        permissions: [on('read'), managing('audit:read')],
        role_ids: [one.id, other.id],
      }),
    )
    const path = `${accounts}/${account.id}/effective-permissions`
    const { items } = await must(server.api('GET', path))
    expect(items).toHaveLength(3)
    const by = (permission: string) =>
      items.find((item: { permission: string }) => item.permission === permission)
    const { id: resource_server_id, identifier } = fixture.resourceServer
    expect(by('read')).toEqual({
      resource_server_id,
      resource_server_identifier: identifier,
      permission: 'read',
      direct: true,
      roles: [{ id: one.id, name: one.name }],
    })
    expect(by('write')).toMatchObject({
      direct: false,
      roles: [
        { id: one.id, name: one.name },
        { id: other.id, name: other.name },
      ],
    })
    expect(by('audit:read')).toMatchObject({ direct: true, roles: [] })

    const paged = []
    for (let cursor = ''; ; ) {
      const page = await must(server.api('GET', `${path}?limit=1${cursor}`))
      paged.push(...page.items)
      if (page.next_cursor === null) break
      cursor = `&cursor=${page.next_cursor}`
    }
    expect(paged).toEqual(items)
  })

  test('goes with the definition of a permission, and the trail of the organization says so', async () => {
    const own = await server.createFixture({ algorithm: 'ES256', organizationId: fixture.organizationId })
    const role = await createRole([{ resource_server_id: own.resourceServer.id, permission: 'admin' }])
    await must(
      server.api('PATCH', `/resource-servers/${own.resourceServer.id}`, { permissions: [{ name: 'read' }] }),
    )
    expect((await must(server.api('GET', `${roles}/${role.id}`))).permissions).toEqual([])
    const { items } = await must(
      server.api('GET', `/organizations/${fixture.organizationId}/audit-events?target=${role.id}`),
    )
    expect(items[0]).toMatchObject({ action: 'role.updated', changes: { after: { permissions: [] } } })
  })
})

describe('nobody gives a role of what they do not hold (promise 8)', () => {
  let manager: Client
  let held: { id: string }
  let beyond: { id: string }
  beforeAll(async () => {
    held = await createRole([on('read'), managing('service_accounts:read')])
    beyond = await createRole([on('read'), on('admin')])
    manager = await createClient(server, {
      organizationId: fixture.organizationId,
      permissions: ['service_accounts:read', 'service_accounts:manage', 'roles:manage'],
      access: { role_ids: [(await createRole([on('read')])).id] },
    })
  })

  test('in a new account or one that exists; what a role of one’s own gives can be given', async () => {
    const given = await manager.call('POST', accounts, { name: 'a', role_ids: [held.id] })
    expect(given.status).toBe(201)
    const refused = await manager.call('POST', accounts, { name: 'b', role_ids: [held.id, beyond.id] })
    expectProblem(refused, 403, 'permission_not_held')
    expect(refused.body.detail).toContain('admin')
    const path = `${accounts}/${given.body.id}`
    const raised = await manager.call('PATCH', path, { role_ids: [beyond.id] })
    expectProblem(raised, 403, 'permission_not_held')
    expect((await must(server.api('GET', path))).role_ids).toEqual([held.id])
  })

  test('nor the name of a role that they lack, which resource servers may go by, unless they manage roles', async () => {
    const roleOfMine = await createRole([on('read')])
    const [approver, reader] = [await createRole(), await createRole([on('read')])]
    const giver = await createClient(server, {
      organizationId: fixture.organizationId,
      permissions: ['service_accounts:manage', 'administrators:manage'],
      access: { role_ids: [roleOfMine.id] },
    })
    const administrators = `/organizations/${fixture.organizationId}/administrators`
    const email = `${approver.id}@people.example`
    for (const { id } of [approver, reader]) {
      const refused = await giver.call('POST', accounts, { name: 'a', role_ids: [roleOfMine.id, id] })
      expectProblem(refused, 403, 'permission_not_held')
      expect(refused.body.detail).toContain(id)
      expect(refused.body.detail).not.toContain(roleOfMine.id)
      const person = { name: 'A', email, role_ids: [id] }
      expectProblem(await giver.call('POST', administrators, person), 403, 'permission_not_held')
      const strong = await must(server.api('POST', accounts, { name: 'b', role_ids: [id] }))
      const key = await giver.call('POST', `${accounts}/${strong.id}/keys`, { type: 'api_token' })
      expectProblem(key, 403, 'permission_not_held')
    }
    const own = await must(giver.call('POST', accounts, { name: 'c', role_ids: [roleOfMine.id] }))
    await must(giver.call('POST', `${accounts}/${own.id}/keys`, { type: 'api_token' }))
    await must(manager.call('POST', accounts, { name: 'd', role_ids: [approver.id, reader.id] }))
  })

  test('nor the role owner, or any other that is built in, by name or by its parts', async () => {
    for (const name of ['owner', 'auditor', 'viewer', 'service_account_manager']) {
      const role_ids = [await builtInRoleId(server, name)]
      expectProblem(await manager.call('POST', accounts, { name, role_ids }), 403, 'permission_not_held')
      expectProblem(
        await manager.call('PATCH', manager.accountPath, { role_ids }),
        403,
        'permission_not_held',
      )
    }
  })

  test('nor puts it into a role, be it new or one that others hold', async () => {
    const permissions = [on('read'), on('admin')]
    const refused = await manager.call('POST', roles, { name: 'mine', permissions })
    expectProblem(refused, 403, 'permission_not_held')
    expectProblem(
      await manager.call('PATCH', `${roles}/${held.id}`, { permissions }),
      403,
      'permission_not_held',
    )
    const path = `${roles}/${held.id}`
    expect((await must(server.api('GET', path))).permissions).toHaveLength(2)
    const own = await must(manager.call('POST', roles, { name: 'mine', permissions: [on('read')] }))
    const raised = await manager.call('PATCH', `${roles}/${own.id}`, {
      permissions: [managing('audit:read')],
    })
    expectProblem(raised, 403, 'permission_not_held')
  })

  test('but what a role or an account has already may stay or be taken by somebody who lacks it', async () => {
    const renamed = await manager.call('PATCH', `${roles}/${beyond.id}`, { name: 'Beyond' })
    expect(renamed.status).toBe(200)
    const account = await must(server.api('POST', accounts, { name: 'c', role_ids: [beyond.id, held.id] }))
    const kept = await manager.call('PATCH', `${accounts}/${account.id}`, { role_ids: [beyond.id] })
    expect(kept.status).toBe(200)
    const taken = await manager.call('PATCH', `${accounts}/${account.id}`, { role_ids: [] })
    expect(taken.status).toBe(200)
  })

  test('nor makes a key for an account whose roles give more', async () => {
    const account = await must(server.api('POST', accounts, { name: 'strong', role_ids: [beyond.id] }))
    const refused = await manager.call('POST', `${accounts}/${account.id}/keys`, { type: 'rsa' })
    expectProblem(refused, 403, 'permission_not_held')
  })

  test('and a token with a narrow scope gives no role of the wider account', async () => {
    const narrow = await createClient(server, {
      organizationId: fixture.organizationId,
      permissions: ['service_accounts:manage'],
      access: { role_ids: [await builtInRoleId(server, 'auditor')] },
      scope: 'service_accounts:manage',
    })
    const role_ids = [await builtInRoleId(server, 'auditor')]
    expectProblem(await narrow.call('POST', accounts, { name: 'x', role_ids }), 403, 'permission_not_held')
  })
})

test('a role that is given and deleted at once is either in use or gone', async () => {
  for (let round = 0; round < 5; round++) {
    const role = await createRole()
    const [given, deleted] = await Promise.all([
      server.api('POST', accounts, { name: 'racer', role_ids: [role.id] }),
      server.api('DELETE', `${roles}/${role.id}`),
    ])
    if (given.status === 201) expectProblem(deleted, 409, 'role_in_use')
    else expect([given.status, deleted.status]).toEqual([422, 204])
  }
})
