import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId, createOrganization, managementServerId } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

const PERMISSIONS = [
  { name: 'invoices:read', description: 'Read invoices' },
  { name: 'invoices:write', description: 'Create and change invoices' },
  { name: 'ledger:close', description: 'Close the books of a month' },
]

let server: TestServer
let browser: Browser
let organization: { id: string; slug: string }
let resourceServer: string
let owner: TestAdministrator
let person: Person
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  organization = await createOrganization(server)
  const { id } = await must(
    server.api('POST', '/resource-servers', {
      name: 'Billing API',
      identifier: 'https://billing.example.com',
      permissions: PERMISSIONS,
    }),
  )
  resourceServer = id
  owner = await createAdministrator(server, organization.id, {
    name: 'Ada Lovelace',
    role_ids: [await builtInRoleId(server, 'owner')],
    // All but the one that nobody here can give.
    permissions: PERMISSIONS.slice(0, 2).map(({ name }) => ({ resource_server_id: id, permission: name })),
  })
  person = await createPerson(browser, server)
  await person.signIn(owner)
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const roles = () => `/organizations/${organization.slug}/roles`
const api = (noun: string) => `/organizations/${organization.id}/${noun}`
const idInAddress = () => new URL(person.page.url()).pathname.split('/').at(-1) as string

test('from no role of their own to one that an account has, to its end', async () => {
  await person.open(roles())
  expect(await person.text()).toContain('No roles of your own yet')
  expect(await person.page.locator('tbody tr').count()).toBe(4)
  await person.look('roles-empty')

  await person.press('New role')
  await person.look('new-role')
  await person.press('Create role')
  expect(await person.text()).toContain('Give the role a name.')
  await person.fill({ Name: 'Bookkeeping', 'Description optional': 'Reads invoices for the ledger.' })
  await person.page.getByLabel('invoices:read').check()
  await person.press('Create role')
  expect(await person.heading()).toBe('Bookkeeping')
  expect(await person.text()).toContain('The role Bookkeeping is created.')
  expect(await person.text()).toContain('Read invoices')
  expect(await person.text()).toContain('Nobody yet.')
  const id = idInAddress()

  await must(server.api('POST', api('service-accounts'), { name: 'Ledger export', role_ids: [id] }))
  await must(server.api('PATCH', owner.path, { role_ids: [await builtInRoleId(server, 'owner'), id] }))
  await person.page.reload()
  expect(await person.text()).toContain('1 service account and 1 administrator')
  await person.look('role')
  await person.press('Edit')
  expect(await person.text()).toContain('what you change here counts for them at once')
  expect(await person.page.getByLabel('invoices:read').isChecked()).toBe(true)
  await person.page.getByLabel('invoices:write').check()
  await person.look('edit-role')
  await person.press('Save changes')
  expect((await must(server.api('GET', `${api('roles')}/${id}`))).permissions).toHaveLength(2)

  await person.open(roles())
  await person.look('roles')
  await person.open(`${roles()}/${id}/delete`)
  expect(await person.heading()).toBe('The role Bookkeeping stays')
  expect(await person.text()).toContain('1 service account and 1 administrator have this role.')
  await person.look('delete-role-in-use')
  await person.press('Back to the role')
  await person.press('Ledger export')
  expect(await person.heading()).toContain('Ledger export')

  await must(server.api('PATCH', owner.path, { role_ids: [await builtInRoleId(server, 'owner')] }))
  await must(server.api('DELETE', `${api('service-accounts')}/${idInAddress()}`))
  await person.open(`${roles()}/${id}`)
  await person.press('Delete…')
  expect(await person.text()).toContain('It names 2 permissions, which stay what they are.')
  expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Keep it')
  await person.look('delete-role')
  await person.press('Delete role')
  expect(await person.text()).toContain('The role Bookkeeping is deleted.')
  expect((await server.api('GET', `${api('roles')}/${id}`)).status).toBe(404)
})

test('what there is to give is listed, with what is somebody’s own to give', async () => {
  await person.open(roles())
  await person.press('Permissions')
  const row = (name: string) => person.page.locator('tbody tr', { hasText: name }).innerText()
  expect(await row('invoices:read')).toMatch(/yes/)
  expect(await row('ledger:close')).toMatch(/no/)
  await person.look('permissions')
})

test('a built-in role says that it is one, and offers no change', async () => {
  await person.open(`${roles()}/${await builtInRoleId(server, 'auditor')}`)
  expect(await person.text()).toContain('Nobody can change it.')
  expect(await person.page.getByRole('link', { name: 'Edit' }).count()).toBe(0)
  await person.look('role-built-in')
  for (const act of ['edit', 'delete']) {
    const path = `${roles()}/${await builtInRoleId(server, 'auditor')}/${act}`
    expect(await person.open(path)).toBe(200)
    expect(await person.page.locator('main form').count()).toBe(0)
    const client = await createConsoleClient(server, owner)
    const answer = await client.post(path, { name: 'auditor' })
    expect(answer.status).toBe(409)
    expect(answer.text).toContain('built in')
  }
})

test('without JavaScript a role is made and kept as it was typed when its name is taken', async () => {
  const quiet = await createPerson(browser, server, { hasJavaScript: false })
  await quiet.signIn(owner)
  for (const expected of ['Reporting', 'New role']) {
    await quiet.open(`${roles()}/new`)
    await quiet.fill({ Name: 'Reporting' })
    await quiet.page.getByLabel('invoices:read').check()
    await quiet.press('Create role')
    expect(await quiet.heading()).toBe(expected)
  }
  expect(await quiet.text()).toContain('Another role has this name.')
  expect(await quiet.page.getByLabel('invoices:read').isChecked()).toBe(true)
})

test('a form that was open while somebody else changed the role undoes nothing', async () => {
  const { id } = await must(server.api('POST', api('roles'), { name: 'Contended' }))
  const client = await createConsoleClient(server, owner)
  const form = `${roles()}/${id}/edit`
  const seen = /name="seen" value="([^"]+)"/.exec((await client.get(form)).text)?.[1] ?? ''
  await must(server.api('PATCH', `${api('roles')}/${id}`, { description: 'Changed by somebody else.' }))
  const answer = await client.post(form, { seen, name: 'Contended' })
  expect(answer.status).toBe(409)
  expect(answer.text).toContain('This was changed meanwhile')
  expect(answer.text).toContain('Changed by somebody else.')
  expect((await must(server.api('GET', `${api('roles')}/${id}`))).description).toBe(
    'Changed by somebody else.',
  )
})

test('of many permissions those are shown that hold what is typed; what is ticked is sent, seen or not', async () => {
  await must(
    server.api('POST', '/resource-servers', {
      name: 'Warehouse API',
      identifier: 'https://warehouse.example.com',
      permissions: [{ name: 'stock:count', description: 'Count what is there' }],
    }),
  )
  await person.open(`${roles()}/new`)
  await person.fill({ Name: 'Finder' })
  await person.page.getByLabel('invoices:read').check()
  await person.page.getByLabel('Look for a permission').fill('COUNT what')
  expect(await person.page.locator('.option:visible').count()).toBe(1)
  expect(await person.page.getByLabel('stock:count').isVisible()).toBe(true)
  await person.look('new-role-narrowed')
  await person.page.getByLabel('Look for a permission').press('Enter')
  expect(await person.heading()).toBe('New role')
  await person.press('Create role')
  expect(await person.heading()).toBe('Finder')
  expect(await person.text()).toContain('invoices:read')
})

describe('nobody gives what they do not have', () => {
  const value = (name: string) => `${resourceServer} ${name}`

  test('a permission that they lack cannot be chosen, and is refused when it is sent all the same', async () => {
    await person.open(`${roles()}/new`)
    expect(await person.page.getByLabel('ledger:close').isDisabled()).toBe(true)
    const client = await createConsoleClient(server, owner)
    const answer = await client.post(`${roles()}/new`, {
      name: 'Closing',
      permissions: value('ledger:close'),
    })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('You lack: ledger:close.')
    const { items } = await must(server.api('GET', `${api('roles')}?limit=200`))
    expect(items.map(({ name }: { name: string }) => name)).not.toContain('Closing')
  })

  test('one that a role has already stays, or is taken away', async () => {
    const permissions = PERMISSIONS.map(({ name }) => ({
      resource_server_id: resourceServer,
      permission: name,
    }))
    const { id } = await must(server.api('POST', api('roles'), { name: 'Month’s end', permissions }))
    await person.open(`${roles()}/${id}/edit`)
    expect(await person.page.getByLabel('ledger:close').isEnabled()).toBe(true)
    expect(await person.text()).toContain('You can take it away, but not give it back.')
    await person.page.getByLabel('invoices:read').uncheck()
    await person.press('Save changes')
    const kept = async () =>
      (await must(server.api('GET', `${api('roles')}/${id}`))).permissions.map(
        (entry: { permission: string }) => entry.permission,
      )
    expect(await kept()).toEqual(['invoices:write', 'ledger:close'])
    await person.press('Edit')
    await person.page.getByLabel('ledger:close').uncheck()
    await person.press('Save changes')
    expect(await kept()).toEqual(['invoices:write'])
  })

  test.each([
    ['what is no permission', 'nonsense', 'Something was chosen that was not offered.'],
    [
      'a permission that nobody defines',
      () => value('no:such'),
      'no resource server defines this permission',
    ],
    ['one of a server that is not there', `rs_${'0'.repeat(36)} invoices:read`, 'no resource server defines'],
  ])('%s is refused', async (_what, permissions, text) => {
    const client = await createConsoleClient(server, owner)
    const sent = typeof permissions === 'string' ? permissions : permissions()
    const answer = await client.post(`${roles()}/new`, { name: 'Odd', permissions: sent })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain(text)
  })
})

test('who may not read accounts learns how many have a role, not who', async () => {
  const management = await managementServerId(server)
  const reader = await createAdministrator(server, organization.id, {
    permissions: [{ resource_server_id: management, permission: 'roles:read' }],
  })
  const client = await createConsoleClient(server, reader)
  const { text } = await client.get(`${roles()}/${await builtInRoleId(server, 'owner')}`)
  expect(text).toContain('You may not see who they all are: 1 administrator.')
  expect(text).not.toContain('Ada Lovelace')
})

test('a built-in role is counted in this organization alone', async () => {
  const other = await createOrganization(server)
  const { text } = await (async () => {
    const reader = await createAdministrator(server, other.id, {
      role_ids: [await builtInRoleId(server, 'viewer')],
    })
    const client = await createConsoleClient(server, reader)
    return client.get(`/organizations/${other.slug}/roles/${await builtInRoleId(server, 'owner')}`)
  })()
  expect(text).toContain('nobody')
  expect(text).not.toContain('Ada Lovelace')
})
