import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { type ConsoleClient, createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId, createOrganization, managementServerId } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let organization: { id: string; slug: string }
let fixture: Fixture
/** May give all there is. */
let operator: TestAdministrator
let person: Person
const groups: Record<string, string> = {}
const roles: Record<string, string> = {}
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  organization = await createOrganization(server)
  fixture = await server.createFixture({ organizationId: organization.id, permissions: ['read'] })
  const path = `/organizations/${organization.id}`
  for (const name of ['Northern branch', 'Southern branch']) {
    groups[name] = (await must(server.api('POST', `${path}/groups`, { name }))).id
  }
  const permission = (name: string) => ({ resource_server_id: fixture.resourceServer.id, permission: name })
  roles.Bookkeeping = (
    await must(
      server.api('POST', `${path}/roles`, {
        name: 'Bookkeeping',
        description: 'Reads and writes invoices',
        permissions: [permission('read'), permission('write'), permission('admin')],
      }),
    )
  ).id
  roles.viewer = await builtInRoleId(server, 'viewer')
  roles.owner = await builtInRoleId(server, 'owner')
  const own = (await must(server.api('GET', '/me'))).organization
  operator = await createAdministrator(server, own.id, {
    role_ids: [roles.owner],
    groups_administrator: 'manager',
  })
  person = await createPerson(browser, server)
  await person.signIn(operator)
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const accessOf = (accountId: string) =>
  `/organizations/${organization.slug}/service-accounts/${accountId}/permissions`
const read = (accountId: string) =>
  must(server.api('GET', `/organizations/${organization.id}/service-accounts/${accountId}`))
const create = (members: Record<string, unknown> = {}): Promise<{ id: string; name: string }> =>
  must(
    server.api('POST', `/organizations/${organization.id}/service-accounts`, {
      name: 'Nightly export',
      ...members,
    }),
  )
const row = (label: string, text: string) =>
  person.page.getByRole('table', { name: label }).getByRole('row').filter({ hasText: text })

describe('what an account may do', () => {
  let id: string
  beforeAll(async () => {
    id = (await create()).id
  })

  test('is nothing at first, and the page says so', async () => {
    await person.open(accessOf(id))
    expect(await person.text()).toContain('It has no role.')
    expect(await person.text()).toContain('It acts for nobody but itself.')
    expect(await person.text()).toContain('Nothing yet')
    await person.look('account-access-empty')
  })

  test('grows by a role, and the reasons name it', async () => {
    await person.open(accessOf(id))
    await person.press('Give role')
    expect(await person.text()).toContain('Choose a role.')
    await person.page.getByLabel('Another role').selectOption('Bookkeeping (3 permissions)')
    await person.press('Give role')
    expect(await person.text()).toContain('Nightly export has the role Bookkeeping now.')
    expect(await row('What it may do', 'write').innerText()).toContain('Bookkeeping')
    expect((await read(id)).role_ids).toEqual([roles.Bookkeeping])
  })

  test('grows by permissions of its own', async () => {
    await person.press('Give permissions…')
    await person.press('Give permissions')
    expect(await person.text()).toContain('Tick one permission at least.')
    await person.page.locator(`input[value="${fixture.resourceServer.id} read"]`).check()
    await person.look('give-permissions')
    await person.press('Give permissions')
    expect(await person.text()).toContain('has 1 permission more')
    expect(await row('What it may do', 'read').innerText()).toMatch(/Bookkeeping, given directly/)
  })

  test('reaches groups by name, at the level that was given last, or all of them', async () => {
    for (const [group, access] of [
      ['Northern branch', 'Viewer'],
      ['Southern branch', 'Viewer'],
      ['Northern branch', 'Manager'],
      ['All groups, also those to come', 'Viewer'],
    ] as const) {
      await person.page.getByLabel('Group', { exact: true }).selectOption(group)
      await person.page.getByLabel('Access', { exact: true }).selectOption(access)
      await person.press('Give access')
    }
    const { group_access, groups_administrator } = await read(id)
    expect(groups_administrator).toBe('viewer')
    expect(group_access.toSorted(byGroup)).toEqual(
      [
        { group_id: groups['Northern branch']!, access: 'manager' },
        { group_id: groups['Southern branch']!, access: 'viewer' },
      ].toSorted(byGroup),
    )
  })

  test('acts for end users with what it is lent; what is given later adds to that', async () => {
    await person.press('Let it act for end users…')
    await person.page.locator(`input[value="${fixture.resourceServer.id} read"]`).check()
    await person.press('Let it act')
    expect(await person.text()).toContain('This is required.')
    await person.page.getByLabel('End users').fill('user-*\nsomebody else*s')
    await person.press('Let it act')
    expect(await person.text()).toContain('An end user is printable ASCII')
    await person.page.getByLabel('End users').fill('user-*\nada')
    await person.look('delegate')
    await person.press('Let it act')
    await person.press('Add end users or permissions…')
    await person.page.getByLabel('More end users').fill('grace')
    await person.press('Let it act')
    const permission = { resource_server_id: fixture.resourceServer.id, permission: 'read' }
    expect((await read(id)).delegation).toEqual({
      subjects: ['ada', 'grace', 'user-*'],
      permissions: [permission],
    })
    await person.look('account-access')
  })

  test('is taken one by one, and what goes with it is said first', async () => {
    const take = async (label: string, text: string) => {
      await row(label, text).getByRole('link', { name: 'Take…' }).click()
      await person.page.waitForURL(/take\?/)
      return person.text()
    }
    expect(await take('Roles', 'Bookkeeping')).toContain(
      'It loses 2 permissions that nothing else gives it: admin, write.',
    )
    expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Leave it')
    await person.look('take-role')
    await person.press('Take role')
    expect(await person.text()).toContain('does not have the role Bookkeeping any more')

    expect(await take('Direct permissions', 'read')).toContain('It loses 1 permission, read at')
    await person.press('Take permission')
    expect(await take('Groups', 'Northern')).toContain('still viewer of all groups')
    await person.press('Take access')
    expect(await take('Groups', 'All groups')).toContain('By name it reaches 1 group.')
    await person.press('Take access')
    expect(await take('For whom it may act', 'grace')).toContain('It does not act for them any more')
    await person.press('Take end users')
    expect(await take('What it may do for them', 'read')).toContain('It is the only one')
    await person.press('Leave it')
    await person.press('Take the delegation…')
    expect(await person.text()).toContain('2 entries of end users and 1 lent permission go')
    await person.press('Take delegation')
    expect(await read(id)).toMatchObject({
      role_ids: [],
      permissions: [],
      group_access: [{ group_id: groups['Southern branch'], access: 'viewer' }],
      groups_administrator: null,
      delegation: null,
    })
  })
})

test('taking says how many live tokens lose by it, and they do at once', async () => {
  const token = await fixture.getToken()
  await person.open(accessOf(fixture.accountId))
  await row('Direct permissions', 'read').getByRole('link', { name: 'Take…' }).click()
  await person.page.waitForURL(/take\?/)
  expect(await person.text()).toContain('It has 1 live token from 1 address')
  await person.press('Take permission')
  expect((await fixture.introspect(token)).body.active).toBe(false)
})

test('without JavaScript a role is given and taken as well', async () => {
  const { id } = await create()
  const quiet = await createPerson(browser, server, { hasJavaScript: false })
  await quiet.signIn(operator)
  await quiet.open(accessOf(id))
  await quiet.page.getByLabel('Another role').selectOption({ value: roles.viewer! })
  await quiet.press('Give role')
  await quiet.page.getByRole('link', { name: 'Take…' }).click()
  await quiet.press('Take role')
  expect((await read(id)).role_ids).toEqual([])
})

describe('an old page', () => {
  let client: ConsoleClient
  beforeAll(async () => {
    client = await createConsoleClient(server, operator)
  })

  test('loses nothing that somebody else gave meanwhile, even at the same moment', async () => {
    const { id } = await create()
    const [north, south] = Object.values(groups)
    const answers = await Promise.all([
      client.post(accessOf(id), { role_id: roles.viewer! }),
      client.post(accessOf(id), { role_id: roles.Bookkeeping! }),
      client.post(accessOf(id), { group_id: north!, access: 'viewer' }),
      client.post(accessOf(id), { group_id: south!, access: 'manager' }),
      client.post(`${accessOf(id)}/give`, { permissions: `${fixture.resourceServer.id} write` }),
    ])
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(303))
    const { role_ids, group_access, permissions } = await read(id)
    expect([role_ids.length, group_access.length, permissions.length]).toEqual([2, 2, 1])
  })

  test('that takes what is gone already changes nothing and says so', async () => {
    const { id } = await create({ role_ids: [roles.viewer] })
    for (const thing of [`role ${roles.Bookkeeping}`, 'delegation', 'subject nobody', '', 'nonsense']) {
      const answer = await client.post(`${accessOf(id)}/take?${new URLSearchParams({ thing })}`)
      expect(answer.status).toBe(200)
      expect(answer.text).toContain('does not have this')
    }
    expect((await read(id)).role_ids).toEqual([roles.viewer])
  })

  test('that gives what has been deleted says so beside the field', async () => {
    const { id } = await create()
    const gone = `role_${'0'.repeat(36)}`
    const answer = await client.post(accessOf(id), { role_id: gone })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('there is no role with that id')
  })
})

describe('nobody gives what they do not hold', () => {
  let client: ConsoleClient
  let manager: TestAdministrator
  beforeAll(async () => {
    manager = await createAdministrator(server, organization.id, {
      role_ids: [await builtInRoleId(server, 'service_account_manager')],
      group_access: [{ group_id: groups['Northern branch'], access: 'viewer' }],
    })
    client = await createConsoleClient(server, manager)
  })

  test('the page offers what they hold, and says what it leaves out', async () => {
    const { id } = await create()
    const cautious = await createPerson(browser, server)
    await cautious.signIn(manager)
    await cautious.open(accessOf(id))
    const options = await cautious.page.getByLabel('Another role').locator('option').allInnerTexts()
    expect(options.join()).not.toMatch(/Bookkeeping|owner/)
    expect(await cautious.text()).toMatch(/Not offered[^.]*(Bookkeeping|owner)/)
    const offered = await cautious.page.getByLabel('Group', { exact: true }).locator('option').allInnerTexts()
    expect(offered).toEqual(['Choose a group', 'Northern branch'])
    await cautious.look('account-access-manager')
    await cautious.press('Give permissions…')
    expect(await cautious.page.locator('input[type=checkbox]:disabled').count()).toBeGreaterThan(2)
    await cautious.look('give-permissions-manager')
  })

  test.each<[string, () => [path: string, fields: Record<string, string>, said: string]]>([
    ['a role', () => ['', { role_id: roles.Bookkeeping! }, 'You lack: ']],
    ['a built-in role', () => ['', { role_id: roles.owner! }, 'organizations:manage']],
    [
      'a group',
      () => ['', { group_id: groups['Southern branch']!, access: 'viewer' }, 'viewer of «Southern branch»'],
    ],
    [
      'a higher level',
      () => ['', { group_id: groups['Northern branch']!, access: 'manager' }, 'manager of «Northern branch»'],
    ],
    ['all groups', () => ['', { group_id: 'all', access: 'viewer' }, 'viewer of all groups']],
    [
      'a permission',
      () => ['/give', { permissions: `${fixture.resourceServer.id} admin` }, 'You lack: admin'],
    ],
    [
      'what an account does for others',
      () => [
        '/delegate',
        { subjects: 'ada', permissions: `${fixture.resourceServer.id} admin` },
        'You lack: admin',
      ],
    ],
  ])('%s is refused beside its field, in words, and nothing is changed', async (_what, request) => {
    const { id } = await create()
    const before = await read(id)
    const [path, fields, said] = request()
    const answer = await client.post(accessOf(id) + path, fields)
    expect(answer.status).toBe(422)
    expect(answer.text).toMatch(/class="fault"[^>]*>[^<]*You can give only what you have yourself/)
    expect(answer.text).toContain(said)
    expect(await read(id)).toEqual(before)
  })

  test('who may not read roles learns of none of the organization but those that the account has', async () => {
    const management = await managementServerId(server)
    const blind = await createAdministrator(server, organization.id, {
      permissions: ['service_accounts:read', 'service_accounts:manage'].map((permission) => ({
        resource_server_id: management,
        permission,
      })),
    })
    const blindClient = await createConsoleClient(server, blind)
    const without = (await blindClient.get(accessOf((await create()).id))).text
    expect(without).toContain('viewer')
    expect(without).not.toContain('Bookkeeping')
    const { id } = await create({ role_ids: [roles.Bookkeeping] })
    expect((await blindClient.get(accessOf(id))).text).toContain('Bookkeeping')
  })

  test('permissions of the management API are not lent to end users', async () => {
    const { id } = await create()
    const operatorClient = await createConsoleClient(server, operator)
    const management = await managementServerId(server)
    const answer = await operatorClient.post(`${accessOf(id)}/delegate`, {
      subjects: 'ada',
      permissions: `${management} audit:read`,
    })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('permissions of the management API cannot be delegated')
    expect((await read(id)).delegation).toBeNull()
  })

  test('who may only read sees the same, without a way to change it', async () => {
    const { id } = await create({ role_ids: [roles.Bookkeeping] })
    const viewer = await createAdministrator(server, organization.id, { role_ids: [roles.viewer] })
    const { text } = await (await createConsoleClient(server, viewer)).get(accessOf(id))
    expect(text).toContain('Bookkeeping')
    expect(text).not.toMatch(/Take…|Give (role|access|permissions)/)
  })
})

test('the last owner keeps the role', async () => {
  const alone = await createOrganization(server)
  const { id } = await must(
    server.api('POST', `/organizations/${alone.id}/service-accounts`, {
      name: 'Owner',
      role_ids: [roles.owner],
    }),
  )
  const client = await createConsoleClient(server, operator)
  const path = `/organizations/${alone.slug}/service-accounts/${id}/permissions/take`
  const thing = new URLSearchParams({ thing: `role ${roles.owner}` })
  const answer = await client.post(`${path}?${thing}`)
  expect(answer.status).toBe(409)
  expect(answer.text).toContain('The organization would have no owner')
})

function byGroup(one: { group_id: string }, other: { group_id: string }): number {
  return one.group_id < other.group_id ? -1 : 1
}
