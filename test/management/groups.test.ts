import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  type Client,
  createClient,
  createOrganization,
  expectProblem,
  pointersOf,
} from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'

type Entry = { group_id: string; access: 'viewer' | 'manager' }

let server: TestServer
let organizationId: string
let groups: string
let accounts: string
beforeAll(async () => {
  server = await startTestServer()
  organizationId = (await createOrganization(server)).id
  groups = `/organizations/${organizationId}/groups`
  accounts = `/organizations/${organizationId}/service-accounts`
})
afterAll(() => server.close())

let count = 0
const createGroup = async (): Promise<{ id: string; name: string }> =>
  must(server.api('POST', groups, { name: `Group ${++count}` }))
const createAccount = async (access: Record<string, unknown> = {}): Promise<string> =>
  `${accounts}/${(await must(server.api('POST', accounts, { name: 'member', ...access }))).id}`
const viewer = (group: { id: string }): Entry => ({ group_id: group.id, access: 'viewer' })
const manager = (group: { id: string }): Entry => ({ group_id: group.id, access: 'manager' })
const byId = (entries: Entry[]) => entries.sort((one, other) => (one.group_id < other.group_id ? -1 : 1))

describe('groups', () => {
  test('are created, read, changed, listed newest first, and deleted twice with the same answer', async () => {
    const created = await server.api('POST', groups, { name: 'Branch Oslo', description: 'Devices.' })
    expect(created.status).toBe(201)
    const path = `${groups}/${created.body.id}`
    expect(created.headers.get('location')).toBe(`/api/v1${path}`)
    expect(await must(server.api('GET', path))).toEqual(created.body)
    const newer = await createGroup()
    const { items } = await must(server.api('GET', groups))
    expect(items.map((item: { id: string }) => item.id).slice(0, 2)).toEqual([newer.id, created.body.id])
    const changed = await must(server.api('PATCH', path, { name: 'Branch Bergen' }))
    expect(changed).toMatchObject({ name: 'Branch Bergen', description: 'Devices.' })
    expect((await server.api('DELETE', path)).status).toBe(204)
    expect((await server.api('DELETE', path)).status).toBe(204)
    expectProblem(await server.api('GET', path), 404, 'resource_not_found')
  })

  test('have names of their own in the organization, whatever the case', async () => {
    const { name } = await createGroup()
    const other = await createGroup()
    expectProblem(await server.api('POST', groups, { name: name.toUpperCase() }), 409, 'name_taken')
    expectProblem(await server.api('PATCH', `${groups}/${other.id}`, { name }), 409, 'name_taken')
  })

  test('are deleted with all access to them, and the trail names everybody who had some', async () => {
    const [gone, kept] = [await createGroup(), await createGroup()]
    const one = await createAccount({ group_access: [manager(gone), viewer(kept)] })
    const other = await createAccount({ group_access: [viewer(gone)] })
    await must(server.api('DELETE', `${groups}/${gone.id}`))
    expect((await must(server.api('GET', one))).group_access).toEqual([viewer(kept)])
    expect((await must(server.api('GET', other))).group_access).toEqual([])
    const trail = `/organizations/${organizationId}/audit-events`
    const { items } = await must(server.api('GET', `${trail}?target=${one.split('/').at(-1)}`))
    expect(items[0]).toMatchObject({
      action: 'service_account.updated',
      changes: { before: { group_access: expect.any(Array) }, after: { group_access: [viewer(kept)] } },
    })
    const { items: ofGroup } = await must(server.api('GET', `${trail}?target=${gone.id}`))
    expect(ofGroup[0]).toMatchObject({ action: 'group.deleted', changes: { before: { name: gone.name } } })
  })
})

describe('access to groups', () => {
  test('is given, raised, lowered and taken as one list', async () => {
    const [one, other] = [await createGroup(), await createGroup()]
    const account = await createAccount({ group_access: [viewer(one)] })
    const set = async (group_access: Entry[]) =>
      (await must(server.api('PATCH', account, { group_access }))).group_access
    expect(await set([manager(one), viewer(other)])).toEqual(byId([manager(one), viewer(other)]))
    expect(await set([viewer(one)])).toEqual([viewer(one)])
    expect(await set([])).toEqual([])
    const administrator = await must(server.api('PATCH', account, { groups_administrator: 'viewer' }))
    expect(administrator.groups_administrator).toBe('viewer')
    expect((await must(server.api('PATCH', account, { name: 'still' }))).groups_administrator).toBe('viewer')
    const none = await must(server.api('PATCH', account, { groups_administrator: null }))
    expect(none.groups_administrator).toBeNull()
  })

  test('names groups of the organization, each once', async () => {
    const own = await createGroup()
    const elsewhere = await createOrganization(server)
    const foreign = await must(
      server.api('POST', `/organizations/${elsewhere.id}/groups`, { name: 'theirs' }),
    )
    for (const id of [foreign.id, `grp_${'0'.repeat(36)}`]) {
      const group_access = [viewer(own), viewer({ id })]
      const refused = await server.api('POST', accounts, { name: 'x', group_access })
      expectProblem(refused, 422, 'input_invalid')
      expect(refused.body.errors).toEqual([
        { pointer: '/group_access/1', detail: 'there is no group with that id' },
      ])
    }
    const twice = await server.api('POST', accounts, { name: 'x', group_access: [viewer(own), manager(own)] })
    expectProblem(twice, 422, 'input_invalid')
    expect(pointersOf(twice)).toEqual(['/group_access/1'])
  })
})

describe('nobody gives access that they do not have (promise 8)', () => {
  const permissions = ['service_accounts:read', 'service_accounts:manage', 'groups:manage']
  let seen: { id: string }
  let managed: { id: string }
  let unseen: { id: string }
  let member: Client
  let administrator: Client
  beforeAll(async () => {
    ;[seen, managed, unseen] = [await createGroup(), await createGroup(), await createGroup()]
    member = await createClient(server, {
      organizationId,
      permissions,
      access: { group_access: [viewer(seen), manager(managed)] },
    })
    administrator = await createClient(server, {
      organizationId,
      permissions,
      access: { groups_administrator: 'viewer' },
    })
  })

  const give = (client: Client, access: Record<string, unknown>) =>
    client.call('POST', accounts, { name: 'given', ...access })

  test('manager implies viewer; viewer does not imply manager; nothing implies nothing', async () => {
    expect((await give(member, { group_access: [viewer(seen), viewer(managed)] })).status).toBe(201)
    expect((await give(member, { group_access: [manager(managed)] })).status).toBe(201)
    for (const entry of [manager(seen), viewer(unseen), manager(unseen)]) {
      const refused = await give(member, { group_access: [entry] })
      expectProblem(refused, 403, 'permission_not_held')
      expect(refused.body.detail).toContain(`${entry.access} of ${entry.group_id}`)
    }
  })

  test('raising is giving, lowering is not, and what is there may stay', async () => {
    const account = await createAccount({ group_access: [viewer(seen), manager(unseen)] })
    const raised = await member.call('PATCH', account, { group_access: [manager(seen), manager(unseen)] })
    expectProblem(raised, 403, 'permission_not_held')
    const lowered = await member.call('PATCH', account, { group_access: [viewer(seen), viewer(unseen)] })
    expect(lowered.status).toBe(200)
    expect((await member.call('PATCH', account, { group_access: [] })).status).toBe(200)
  })

  test('a groups administrator gives up to its own level, of every group, also a later one', async () => {
    const later = await createGroup()
    expect((await give(administrator, { group_access: [viewer(seen), viewer(later)] })).status).toBe(201)
    expect((await give(administrator, { groups_administrator: 'viewer' })).status).toBe(201)
    expectProblem(await give(administrator, { group_access: [manager(seen)] }), 403, 'permission_not_held')
    const refused = await give(administrator, { groups_administrator: 'manager' })
    expectProblem(refused, 403, 'permission_not_held')
    expect(refused.body.detail).toContain('manager of all groups')
  })

  test('access to some groups makes nobody a groups administrator', async () => {
    expectProblem(await give(member, { groups_administrator: 'viewer' }), 403, 'permission_not_held')
    expectProblem(
      await member.call('PATCH', member.accountPath, { groups_administrator: 'viewer' }),
      403,
      'permission_not_held',
    )
  })

  test('who creates a group has no access to it by that', async () => {
    const made = await must(member.call('POST', groups, { name: 'of the member' }))
    expectProblem(await give(member, { group_access: [viewer(made)] }), 403, 'permission_not_held')
  })

  test.each<[string, () => Record<string, unknown>]>([
    ['a group', () => ({ group_access: [viewer(unseen)] })],
    ['more of a group', () => ({ group_access: [manager(seen)] })],
    ['all groups', () => ({ groups_administrator: 'viewer' })],
  ])('nor makes a key for an account that has %s', async (_what, access) => {
    const account = await createAccount(access())
    expectProblem(await member.call('POST', `${account}/keys`, { type: 'rsa' }), 403, 'permission_not_held')
    const weak = await createAccount({ group_access: [viewer(managed)] })
    expect((await member.call('POST', `${weak}/keys`, { type: 'rsa' })).status).toBe(201)
  })

  test('a groups administrator of the operator organization is that in every organization', async () => {
    const { organization } = await must(server.api('GET', '/me'))
    const platform = await createClient(server, {
      organizationId: organization.id,
      permissions,
      access: { groups_administrator: 'viewer' },
    })
    expect((await give(platform, { group_access: [viewer(unseen)] })).status).toBe(201)
    expectProblem(await give(platform, { group_access: [manager(unseen)] }), 403, 'permission_not_held')
  })
})
