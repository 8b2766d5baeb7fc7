import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { ensureInstallation } from '../../src/directory/installation.ts'
import { builtInRoleId } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let organization: string
beforeAll(async () => {
  server = await startTestServer()
  organization = `/organizations/${(await must(server.api('GET', '/me'))).organization.id}`
})
afterAll(() => server.close())

const startAgain = () =>
  ensureInstallation(server.connection.db, { issuer: server.issuer, clock: server.clock })
const permissionsOf = async (name: string): Promise<string[]> => {
  const role = await must(server.api('GET', `${organization}/roles/${await builtInRoleId(server, name)}`))
  return role.permissions.map((entry: { permission: string }) => entry.permission)
}
const trailOf = async (target: string) =>
  (await must(server.api('GET', `${organization}/audit-events?target=${target}`))).items

test('another start changes nothing of the built-in roles', async () => {
  const roles = await must(server.api('GET', `${organization}/roles`))
  const owner = await builtInRoleId(server, 'owner')
  await Promise.all([startAgain(), startAgain()])
  expect(await must(server.api('GET', `${organization}/roles`))).toEqual(roles)
  expect((await trailOf(owner)).map((event: { action: string }) => event.action)).toEqual(['role.created'])
})

test('the permissions that a later version brings are added to them, and to the operator', async () => {
  const before = await permissionsOf('viewer')
  // As an installation of a version that did not know these permissions yet.
  await server.connection.pool.query(`delete from permissions where name like 'groups:%'`)
  expect(await permissionsOf('viewer')).not.toContain('groups:read')
  await startAgain()
  expect(await permissionsOf('viewer')).toEqual(before)
  expect(await permissionsOf('owner')).toEqual(expect.arrayContaining(['groups:read', 'groups:manage']))
  const [event] = await trailOf(await builtInRoleId(server, 'owner'))
  expect(event).toMatchObject({
    action: 'role.updated',
    changes: { after: { permissions_added: ['groups:manage', 'groups:read'] } },
  })
  expect((await server.api('GET', `${organization}/groups`)).status).toBe(200)
})

test('the operator can give every access to groups, since nobody else has any at first', async () => {
  const { account } = await must(server.api('GET', '/me'))
  const operator = await must(server.api('GET', `${organization}/service-accounts/${account.id}`))
  expect(operator.groups_administrator).toBe('manager')
})
