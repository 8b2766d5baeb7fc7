import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { type ConsoleClient, createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId, createOrganization, managementServerId } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let organization: { id: string; slug: string }
let owner: TestAdministrator
let person: Person
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  organization = await createOrganization(server)
  owner = await createAdministrator(server, organization.id, {
    name: 'Ada Lovelace',
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
  person = await createPerson(browser, server)
  await person.signIn(owner)
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const groups = () => `/organizations/${organization.slug}/groups`
const api = (noun: string) => `/organizations/${organization.id}/${noun}`

test('from no group to one that accounts reach, to its end', async () => {
  await person.open(groups())
  expect(await person.text()).toContain('No groups yet')
  await person.look('groups-empty')
  await person.press('New group')
  await person.look('new-group')
  await person.press('Create group')
  expect(await person.text()).toContain('Give the group a name.')
  await person.fill({ Name: 'Northern branch', 'Description optional': 'Customers north of the river.' })
  await person.press('Create group')
  expect(await person.heading()).toBe('Northern branch')
  expect(await person.text()).toContain('The group Northern branch is created.')
  const id = new URL(person.page.url()).pathname.split('/').at(-1) as string

  const give = (name: string, access: string) =>
    must(server.api('POST', api('service-accounts'), { name, group_access: [{ group_id: id, access }] }))
  await give('Nightly export', 'viewer')
  await give('Deploy robot', 'viewer')
  const manager = await give('Billing sync', 'manager')
  await person.page.reload()
  const text = await person.text()
  expect(text).toContain('2 viewers and 1 manager')
  for (const name of ['Nightly export', 'Deploy robot', 'Billing sync', 'Ada Lovelace'])
    expect(text).toContain(name)
  await person.look('group')

  await person.press('Edit')
  await person.fill({ Name: 'Northern region' })
  await person.press('Save changes')
  expect(await person.heading()).toBe('Northern region')
  await must(server.api('POST', api('groups'), { name: 'Southern region' }))
  await person.open(groups())
  expect(await person.text()).toContain('1 administrator reaches all groups')
  await person.look('groups')

  await person.press('Northern region')
  await person.press('Delete…')
  expect(await person.text()).toContain('3 accounts lose their access: 2 viewers and 1 manager.')
  expect(await person.text()).toContain('1 administrator reaches it as groups administrator')
  expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Keep it')
  await person.look('delete-group')
  await person.press('Delete group')
  expect(await person.text()).toContain('The group Northern region is deleted.')
  const { group_access } = await must(server.api('GET', `${api('service-accounts')}/${manager.id}`))
  expect(group_access).toEqual([])
})

test('without JavaScript a group is made, and one of the same name is refused with what was typed', async () => {
  const quiet = await createPerson(browser, server, { hasJavaScript: false })
  await quiet.signIn(owner)
  for (const expected of ['Eastern region', 'New group']) {
    await quiet.open(`${groups()}/new`)
    await quiet.fill({ Name: 'Eastern region', 'Description optional': 'Over there.' })
    await quiet.press('Create group')
    expect(await quiet.heading()).toBe(expected)
  }
  expect(await quiet.text()).toContain('Another group has this name.')
  expect(await quiet.page.getByLabel('Description').inputValue()).toBe('Over there.')
})

test('a group is not renamed to what another one is called', async () => {
  const one = await must(server.api('POST', api('groups'), { name: 'One' }))
  await must(server.api('POST', api('groups'), { name: 'Two' }))
  const client = await createConsoleClient(server, owner)
  const answer = await client.post(`${groups()}/${one.id}/edit`, { name: 'two' })
  expect(answer.status).toBe(409)
  expect(answer.text).toContain('value="two"')
})

test('who may not read accounts learns how many reach a group, not who', async () => {
  const { id } = await must(server.api('POST', api('groups'), { name: 'Hidden members' }))
  const group_access = [{ group_id: id, access: 'viewer' }]
  await must(server.api('POST', api('service-accounts'), { name: 'Unseen', group_access }))
  const management = await managementServerId(server)
  const reader = await createAdministrator(server, organization.id, {
    permissions: [{ resource_server_id: management, permission: 'groups:read' }],
  })
  const client = await createConsoleClient(server, reader)
  const { text } = await client.get(`${groups()}/${id}`)
  expect(text).toContain('1 viewer')
  expect(text).toContain('You may not see who they all are: 1 administrator.')
  expect(text).not.toContain('Unseen')
  expect(text).not.toContain('Ada Lovelace')
  expect(text).not.toContain('Delete…')
})

describe('of more groups than a list can offer', () => {
  const ids = new Map<string, string>()
  let client: ConsoleClient
  let far: string
  beforeAll(async () => {
    far = await createGroup('Far branch')
    for (let first = 0; first < 205; first += 41) {
      await Promise.all(Array.from({ length: 41 }, (_, index) => createGroup(`Branch ${first + index}`)))
    }
    client = await createConsoleClient(server, owner)
  })

  async function createGroup(name: string): Promise<string> {
    const { id } = await must(server.api('POST', api('groups'), { name }))
    ids.set(name, id)
    return id
  }

  test('a service account is given any by its name', async () => {
    const { id } = await must(server.api('POST', api('service-accounts'), { name: 'Nightly export' }))
    const page = `/organizations/${organization.slug}/service-accounts/${id}/permissions`
    await person.open(page)
    expect(await person.page.getByLabel('Group', { exact: true }).innerText()).not.toContain('Far branch')
    await person.look('account-access-many-groups')
    await person.fill({ 'Another group optional': 'Nowhere' })
    await person.press('Give access')
    expect(await person.text()).toContain('There is no group of this name.')
    await person.fill({ 'Another group optional': 'far BRANCH' })
    await person.press('Give access')
    expect(await person.text()).toContain('Nightly export is viewer of Far branch now.')
    const both = { group_id: ids.get('Branch 204') ?? '', group_name: 'Far branch', access: 'manager' }
    expect((await client.post(page, both)).text).toContain('but not both')
    const { group_access } = await must(server.api('GET', `${api('service-accounts')}/${id}`))
    expect(group_access).toEqual([{ group_id: far, access: 'viewer' }])
  })

  test('an administrator is given any by its name', async () => {
    const { id } = await createAdministrator(server, organization.id)
    await person.open(`/organizations/${organization.slug}/administrators/${id}/access/edit`)
    await person.page.getByLabel('Branch 7', { exact: true }).selectOption('viewer')
    await person.fill({ 'Another group optional': 'Nowhere' })
    await person.press('Save access')
    expect(await person.text()).toContain('There is no group of this name.')
    await person.fill({ 'Another group optional': 'Far branch' })
    await person.page.getByLabel('Access to it').selectOption('manager')
    await person.press('Save access')
    const { group_access } = await must(server.api('GET', `${api('administrators')}/${id}`))
    expect(new Map(group_access.map((entry: Given) => [entry.group_id, entry.access]))).toEqual(
      new Map([
        [far, 'manager'],
        [ids.get('Branch 7'), 'viewer'],
      ]),
    )
  })

  test('none is found by its name by who may not read groups', async () => {
    const management = await managementServerId(server)
    const blind = await createAdministrator(server, organization.id, {
      groups_administrator: 'manager',
      permissions: ['service_accounts:read', 'service_accounts:manage'].map((permission) => ({
        resource_server_id: management,
        permission,
      })),
    })
    const { id } = await must(server.api('POST', api('service-accounts'), { name: 'Nightly export' }))
    const page = `/organizations/${organization.slug}/service-accounts/${id}/permissions`
    const blindClient = await createConsoleClient(server, blind)
    const answer = await blindClient.post(page, { group_id: '', group_name: 'Far branch', access: 'viewer' })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('There is no group of this name.')
  })
})

type Given = { group_id: string; access: string }
