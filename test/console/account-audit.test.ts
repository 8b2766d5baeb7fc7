import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { createConsoleClient } from '../support/console-client.ts'
import { eventually } from '../support/eventually.ts'
import { builtInRoleId, createOrganization } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let person: Person
let owner: TestAdministrator
let fixture: Fixture
let audit: string
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  const organization = await createOrganization(server)
  owner = await createAdministrator(server, organization.id, {
    name: 'Ada Lovelace',
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
  fixture = await server.createFixture({ organizationId: organization.id })
  audit = `/organizations/${organization.slug}/service-accounts/${fixture.accountId}/audit`
  person = await createPerson(browser, server)
  await person.signIn(owner)
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const lines = () => person.page.locator('.trail-what').allInnerTexts()

test('tells what was done to the account and to its keys, and what was refused to it', async () => {
  const client = await createConsoleClient(server, owner)
  const account = audit.replace(/\/audit$/, '')
  await client.post(`${account}/edit`, { name: 'Billing sync', description: 'Copies invoices' })
  server.clock.advance(240)
  await client.post(`${account}/keys/${fixture.keyId}/disable`)
  await must(server.api('PATCH', `${fixture.accountPath}/keys/${fixture.keyId}`, { status: 'active' }))
  server.clock.advance(60)
  const replayed = await fixture.assertion()
  await must(fixture.requestToken({ assertion: replayed }))
  expect((await fixture.requestToken({ assertion: replayed })).status).toBe(400)
  await fixture.getToken()

  await eventually(async () => {
    await person.open(audit)
    expect((await lines()).length).toBe(6)
  })
  expect((await lines()).slice(1)).toEqual([
    'operator enabled the key test',
    'Ada Lovelace disabled the key test; its tokens ended',
    'Ada Lovelace changed name and description of this account',
    expect.stringMatching(/added the key test$/),
    expect.stringMatching(/created this account$/),
  ])
  expect((await lines())[0]).toBe('This account was refused a token: assertion replayed')
  await person.page.locator('summary', { hasText: 'changed name and description' }).click()
  const details = await person.page.locator('.trail [open]').innerText()
  expect(details).toContain('Copies invoices')
  expect(details).toContain('service_account.updated')
  expect(details).toMatch(/req_/)
  await person.look('account-audit')
})

test('keeps the tokens that it got apart', async () => {
  await person.open(audit)
  await person.press('Issued tokens')
  expect(await lines()).toEqual(Array(2).fill('This account got a token: read write'))
  await person.look('account-audit-tokens')
})

test('goes on page by page, and no event is there twice', async () => {
  for (let step = 0; step < 50; step++) {
    await must(server.api('PATCH', fixture.accountPath, { description: `${step}` }))
  }
  await person.open(audit)
  const first = await lines()
  expect(first).toHaveLength(50)
  await person.press('Next page')
  expect((await lines()).at(-1)).toMatch(/created this account$/)
  expect([...first, ...(await lines())]).toHaveLength(56)
})

test('says so where nothing is kept any more, and where no token was issued', async () => {
  const { id } = await must(
    server.api('POST', `/organizations/${fixture.organizationId}/service-accounts`, { name: 'Idle' }),
  )
  await person.open(`${audit.replace(fixture.accountId, id)}?show=tokens`)
  expect(await person.text()).toContain('No tokens yet')
})

test('is a tab for those alone who may read the trail', async () => {
  const manager = await createAdministrator(server, fixture.organizationId, {
    role_ids: [await builtInRoleId(server, 'service_account_manager')],
  })
  const client = await createConsoleClient(server, manager)
  const { text } = await client.get(audit.replace(/\/audit$/, ''))
  expect(text).not.toContain('/audit"')
  expect((await client.get(audit)).status).toBe(403)
})
