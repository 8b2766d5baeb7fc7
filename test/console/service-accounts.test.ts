import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { builtInRoleId, createClient, createOrganization } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let organization: { id: string; slug: string }
let person: Person
let accounts: string
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  organization = await createOrganization(server)
  accounts = `/organizations/${organization.slug}/service-accounts`
  const owner = await createAdministrator(server, organization.id, {
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

function create(members: Record<string, unknown>): Promise<{ id: string; name: string }> {
  return must(server.api('POST', `/organizations/${organization.id}/service-accounts`, members))
}

test('an empty list teaches, with a line for the terminal', async () => {
  await person.open(accounts)
  expect(await person.heading()).toBe('Service accounts')
  expect(await person.text()).toContain('No service accounts yet')
  expect(await person.text()).toContain(
    `${server.issuer}/api/v1/organizations/${organization.id}/service-accounts`,
  )
  await person.look('service-accounts-empty')
})

test('an account is created, described, edited, disabled, enabled and deleted', async () => {
  await person.open(accounts)
  await person.press('New service account')
  await person.look('new-service-account')
  await person.press('Create service account')
  expect(await person.text()).toContain('Give the account a name.')
  expect(await person.page.evaluate('document.activeElement.className')).toBe('summary')
  await person.fill({ 'Owner optional': 'finance@acme.example' })
  await person.press('Create service account')
  expect(await person.page.getByLabel('Owner optional').inputValue()).toBe('finance@acme.example')
  await person.look('new-service-account-faults')
  await person.fill({ Name: 'Billing sync', 'Description optional': 'Copies invoices\nto the ledger.' })
  await person.page.getByLabel('viewer').check()
  await person.press('Create service account')
  expect(await person.heading()).toContain('Billing sync')
  expect(await person.text()).toContain('Billing sync is created.')
  expect(await person.text()).toContain('viewer')
  await person.look('service-account')
  await person.page.reload()
  expect(await person.text()).not.toContain('Billing sync is created.')

  await person.press('Edit')
  expect(await person.page.getByLabel('Description').inputValue()).toBe('Copies invoices\nto the ledger.')
  await person.fill({ 'Owner optional': '' })
  await person.press('Save changes')
  expect(await person.text()).toContain('Nobody is responsible for this account yet.')

  await person.press('Disable…')
  expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Keep it active')
  await person.look('disable-service-account')
  await person.press('Disable account')
  expect(await person.text()).toContain('Billing sync is disabled.')
  await person.press('Enable')
  expect(await person.text()).toContain('Billing sync is active again.')
  await person.press('Delete…')
  expect(await person.text()).toContain('It has never been used.')
  await person.press('Keep it')
  await person.press('Delete…')
  await person.press('Delete account')
  expect(await person.text()).toContain('Billing sync is deleted.')
  expect(await person.text()).toContain('No service accounts yet')
})

describe('a list of many', () => {
  let fixture: Fixture
  beforeAll(async () => {
    // These two are old, and one of them never used.
    await create({ name: 'Forgotten report', owner_contact: 'Ada' })
    fixture = await server.createFixture({ organizationId: organization.id })
    server.clock.advance(100 * 86_400)
    await server.maintain()
    const soon = new Date(server.clock.now() + 5 * 86_400_000).toISOString()
    const deploy = await createClient(server, {
      organizationId: organization.id,
      permissions: ['service_accounts:read'],
    })
    await must(
      server.api('PATCH', `${deploy.accountPath}`, { name: 'Deploy robot', owner_contact: 'Platform team' }),
    )
    const { items } = await must(server.api('GET', `${deploy.accountPath}/keys`))
    await must(server.api('PATCH', `${deploy.accountPath}/keys/${items[0].id}`, { expires_at: soon }))
    const idle = await create({ name: 'Old exporter', owner_contact: 'Grace' })
    await must(
      server.api('PATCH', `/organizations/${organization.id}/service-accounts/${idle.id}`, {
        status: 'disabled',
      }),
    )
    await fixture.getToken()
    const reader = await createAdministrator(server, organization.id, {
      role_ids: [await builtInRoleId(server, 'owner')],
      groups_administrator: 'manager',
    })
    person = await createPerson(browser, server)
    await person.signIn(reader)
  })

  const names = () => person.page.locator('tbody th a').allInnerTexts()

  test('shows the marks of each', async () => {
    await person.open(accounts)
    const row = (name: string) =>
      person.page.locator('tbody tr', { has: person.page.getByRole('link', { name }) }).innerText()
    expect(await row('Forgotten report')).toContain('unused for 90 days')
    expect(await row('Deploy robot')).toContain('key expires in 5 days')
    expect(await row('Old exporter')).toContain('disabled')
    expect(await row('Account')).toMatch(/no owner/)
    expect(await row('Account')).toMatch(/just now/)
    await person.look('service-accounts')
  })

  test.each([
    ['Unused', ['Forgotten report']],
    ['Keys expiring', ['Deploy robot']],
    ['No owner', ['Account']],
    ['Disabled', ['Old exporter']],
  ])('the filter «%s» shows those alone, and stands in the address', async (label, expected) => {
    await person.open(accounts)
    await person.press(label)
    expect(await names()).toEqual(expected.map((name) => expect.stringContaining(name)))
    const { search } = new URL(person.page.url())
    await person.open(`${accounts}${search}`)
    expect(await names()).toHaveLength(expected.length)
  })

  test('is searched by name, owner and id; what is typed are no patterns', async () => {
    for (const [typed, expected] of [
      ['deploy', ['Deploy robot']],
      ['platform TEAM', ['Deploy robot']],
      [fixture.accountId, ['Account']],
      ['%', []],
      ['_', []],
    ] as const) {
      await person.open(accounts)
      await person.page.getByRole('searchbox').fill(typed)
      await person.press('Search')
      expect(await names()).toEqual(expected.map((name) => expect.stringContaining(name)))
    }
    await person.look('service-accounts-nothing')
  })

  test('says in figures what would stop', async () => {
    await person.open(`${accounts}/${fixture.accountId}/delete`)
    expect(await person.text()).toContain(
      '1 live token from 1 address stops working now. Last used just now.',
    )
    await person.look('delete-service-account')
  })

  test('goes on page by page', async () => {
    const many = await createOrganization(server)
    for (let count = 0; count < 51; count++) {
      await must(
        server.api('POST', `/organizations/${many.id}/service-accounts`, { name: `Account ${count}` }),
      )
    }
    const reader = await createAdministrator(server, many.id, {
      role_ids: [await builtInRoleId(server, 'viewer')],
    })
    const other = await createPerson(browser, server)
    await other.signIn(reader)
    await other.open(`/organizations/${many.slug}/service-accounts?search=account`)
    expect(await other.page.locator('tbody tr').count()).toBe(50)
    await other.press('Next page')
    expect(await other.page.locator('tbody tr').count()).toBe(1)
    expect(new URL(other.page.url()).searchParams.get('search')).toBe('account')
    await other.look('service-accounts-last-page')
    await other.press('First page')
    expect(await other.page.locator('tbody tr').count()).toBe(50)
    // A viewer sees no way to create one.
    expect(await other.text()).not.toContain('New service account')
  })
})
