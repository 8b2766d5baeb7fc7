import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { expectRefusalFor } from '../conformance/support.ts'
import { decode } from '../support/jwt.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let organization: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  organization = `/organizations/${fixture.organizationId}`
})
afterAll(() => server.close())

const createGroups = (count: number, name: (index: number) => string): Promise<string[]> =>
  Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const { id } = await must(server.api('POST', `${organization}/groups`, { name: name(index) }))
      return id
    }),
  )
const setGroups = (ids: string[]) =>
  must(
    server.api('PATCH', fixture.accountPath, {
      group_access: ids.map((group_id) => ({ group_id, access: 'viewer' })),
    }),
  )

describe('roles and groups of the account', () => {
  test('stand in introspection as they are now; in a JWT the roles always, the groups with their scope', async () => {
    const role = await must(server.api('POST', `${organization}/roles`, { name: 'Bookkeeping' }))
    const [group = ''] = await createGroups(1, () => 'Branch Oslo')
    await must(
      server.api('PATCH', fixture.accountPath, {
        role_ids: [role.id],
        group_access: [{ group_id: group, access: 'manager' }],
        groups_administrator: 'viewer',
      }),
    )
    const plain = await fixture.getToken()
    const withGroups = await fixture.getToken({ scope: 'groups read' })
    const groups = [{ id: group, name: 'Branch Oslo', access: 'manager' }]

    expect(decode(plain).claims).toMatchObject({ roles: ['Bookkeeping'], scope: 'read write' })
    for (const claim of ['groups', 'groups_truncated', 'groups_administrator'])
      expect(decode(plain).claims).not.toHaveProperty(claim)
    expect(decode(withGroups).claims).toMatchObject({
      scope: 'groups read',
      roles: ['Bookkeeping'],
      groups,
      groups_administrator: 'viewer',
    })
    const standing = { roles: ['Bookkeeping'], groups, groups_administrator: 'viewer' }
    expect((await fixture.introspect(plain)).body).toMatchObject(standing)
    expect((await fixture.introspect(withGroups)).body).toMatchObject({ ...standing, scope: 'groups read' })

    await must(server.api('PATCH', `${organization}/groups/${group}`, { name: 'Branch Bergen' }))
    await must(server.api('PATCH', fixture.accountPath, { role_ids: [], groups_administrator: null }))
    expect((await fixture.introspect(plain)).body).toMatchObject({
      roles: [],
      groups: [{ ...groups[0], name: 'Branch Bergen' }],
      groups_administrator: null,
    })
    expect(decode(await fixture.getToken({ scope: 'read groups' })).claims).not.toHaveProperty(
      'groups_administrator',
    )
  })

  test('above 50 groups the claim gives way, and introspection tells them all', async () => {
    const ids = await createGroups(51, (index) => `Many ${index}`)
    await setGroups(ids.slice(0, 50))
    const fitting = decode(await fixture.getToken({ scope: 'read groups' })).claims
    expect(fitting.groups).toHaveLength(50)
    expect(fitting).not.toHaveProperty('groups_truncated')

    await setGroups(ids)
    const token = await fixture.getToken({ scope: 'read groups' })
    expect(decode(token).claims).toMatchObject({ groups_truncated: true })
    expect(decode(token).claims).not.toHaveProperty('groups')
    const { groups } = (await fixture.introspect(token)).body
    expect(groups.map((entry: { id: string }) => entry.id)).toEqual([...ids].sort())
  })

  test('names too long for a header let the claim give way as well', async () => {
    await setGroups(await createGroups(35, (index) => `${index} ${'й'.repeat(90)}`))
    const token = await fixture.getToken({ scope: 'read groups' })
    expect(decode(token).claims).toMatchObject({ groups_truncated: true })
    expect((await fixture.introspect(token)).body.groups).toHaveLength(35)
  })
})

describe('the scope groups', () => {
  test('goes along with permissions and is none itself', async () => {
    const answer = await fixture.requestToken({ form: { scope: 'groups' } })
    await expectRefusalFor(server, answer, { error: 'invalid_scope', reason: 'scope_not_granted' })
    const refused = await server.api('PATCH', `/resource-servers/${fixture.resourceServer.id}`, {
      permissions: [{ name: 'groups' }],
    })
    expect(refused.status).toBe(422)
    expect(refused.body.errors[0].pointer).toBe('/permissions/0/name')
  })

  test('is bound by the ceiling that was signed', async () => {
    const form = { scope: 'read groups' }
    const capped = await fixture.requestToken({ assertion: await fixture.assertion({ scope: 'read' }), form })
    expect(capped.body.error).toBe('invalid_scope')
    const allowed = await fixture.requestToken({
      assertion: await fixture.assertion({ scope: 'groups read write' }),
      form,
    })
    expect(allowed.body.scope).toBe('read groups')
  })

  test('keeps no token alive whose permissions are gone', async () => {
    const own = await server.createFixture({ algorithm: 'ES256', tokenFormat: 'opaque' })
    const token = await own.getToken({ scope: 'read groups' })
    const permissions = [{ resource_server_id: own.resourceServer.id, permission: 'write' }]
    await must(server.api('PATCH', own.accountPath, { permissions }))
    expect((await own.introspect(token)).body).toEqual({ active: false })
    expect((await must(server.api('GET', `${own.accountPath}/tokens`))).items).toEqual([])
  })
})
