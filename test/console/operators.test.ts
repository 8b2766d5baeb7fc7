import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { builtInRoleId, createOrganization } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let operator: Person
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  const { organization } = await must(server.api('GET', '/me'))
  operator = await createPerson(browser, server)
  await operator.signIn(
    await createAdministrator(server, organization.id, {
      role_ids: [await builtInRoleId(server, 'owner')],
      groups_administrator: 'manager',
    }),
  )
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

/** In whose organization the page says that they are. */
const present = (person: Person) => person.page.locator('.organization .organization-name').innerText()

test('an operator creates an organization and is in it then', async () => {
  await operator.open('/organizations')
  await operator.press('New organization')
  await operator.look('new-organization')
  await operator.fill({ Name: 'Acme Labs', 'Short name': 'Acme Labs' })
  await operator.press('Create organization')
  expect(await operator.text()).toContain('A short name has lower-case letters')
  await operator.fill({ 'Short name': 'operator' })
  await operator.press('Create organization')
  expect(await operator.text()).toContain('Another organization has this slug.')
  await operator.look('new-organization-faults')
  await operator.fill({ 'Short name': 'acme-labs' })
  await operator.press('Create organization')
  expect(await operator.text()).toContain('Acme Labs is created, and you are in it now.')
  expect(await present(operator)).toBe('Acme Labs')
  await operator.open('/organizations')
  expect(await operator.text()).toContain('acme-labs')
  await operator.look('organizations')
})

test('the switcher leads to the same place in another organization, also without JavaScript', async () => {
  await operator.open('/organizations/acme-labs/settings')
  await operator.page.locator('.switcher summary').click()
  await operator.look('switcher')
  await operator.press('Operator')
  expect(new URL(operator.page.url()).pathname).toBe('/console/organizations/operator/settings')
  expect(await present(operator)).toBe('Operator')
  await operator.open('/signing-keys')
  expect(await present(operator)).toBe('Operator')
  await operator.page.locator('.switcher summary').click()
  await operator.press('Acme Labs')
  expect(new URL(operator.page.url()).pathname).toBe('/console/organizations/acme-labs/service-accounts')

  const { organization } = await must(server.api('GET', '/me'))
  const quiet = await createPerson(browser, server, { hasJavaScript: false })
  await quiet.signIn(
    await createAdministrator(server, organization.id, { role_ids: [await builtInRoleId(server, 'viewer')] }),
  )
  await quiet.page.locator('.switcher summary').click()
  await quiet.press('Acme Labs')
  expect(await present(quiet)).toBe('Acme Labs')
  // Who may only look is shown no way to create one.
  await quiet.open('/organizations')
  expect(await quiet.text()).not.toContain('New organization')
})

test('the switcher names the newest few, and a page has the others', async () => {
  const { items } = await must(server.api('GET', '/organizations'))
  for (let count = 0; count < 10; count++) await createOrganization(server)
  await operator.open('/organizations/acme-labs/service-accounts')
  await operator.page.locator('.switcher summary').click()
  // Eight, the present one, one's own, and the way to all.
  expect(await operator.page.locator('.switcher li').count()).toBe(8 + items.length + 1)
  await operator.press('All organizations')
  expect(await operator.page.locator('tbody tr').count()).toBe(items.length + 10)
})

test('others see one organization, no switcher, and nothing of the platform', async () => {
  const { id, slug } = await createOrganization(server)
  const person = await createPerson(browser, server)
  await person.signIn(
    await createAdministrator(server, id, { role_ids: [await builtInRoleId(server, 'owner')] }),
  )
  expect(await present(person)).toBe(slug)
  expect(await person.page.locator('.switcher').count()).toBe(0)
  const sidebar = await person.page.locator('.sidebar').innerText()
  for (const label of ['Organizations', 'Resource servers', 'Signing keys'])
    expect(sidebar).not.toContain(label)
  for (const path of ['/organizations', '/resource-servers', '/signing-keys']) {
    expect(await person.open(path)).toBe(403)
  }
  expect(await person.open('/organizations/acme-labs/settings')).toBe(404)
})
