import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId, createOrganization } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let person: Person
let organization: { id: string; slug: string }
let fixture: Fixture
let tokens: string
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  organization = await createOrganization(server)
  const owner = await createAdministrator(server, organization.id, {
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
  fixture = await server.createFixture({ organizationId: organization.id })
  tokens = tokensOf(fixture.accountId)
  person = await createPerson(browser, server)
  await person.signIn(owner)
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const tokensOf = (accountId: string) =>
  `/organizations/${organization.slug}/service-accounts/${accountId}/tokens`
const rows = () => person.page.locator('tbody tr')
const isActive = async (token: string) => (await fixture.introspect(token)).body.active

test('an account without tokens says how it gets them, and offers nothing to revoke', async () => {
  await person.open(tokens)
  expect(await person.text()).toContain('No live tokens')
  expect(await person.text()).not.toContain('Revoke all…')
  await person.look('account-tokens-empty')
})

test('live tokens are listed with whom they are for; one is revoked, the others go on', async () => {
  const permissions = [{ resource_server_id: fixture.resourceServer.id, permission: 'read' }]
  const delegation = { subjects: ['user-*'], permissions }
  await must(server.api('PATCH', fixture.accountPath, { delegation }))
  const first = await fixture.getToken()
  server.clock.advance(60)
  const second = await fixture.getToken({ scope: 'read' })
  const assertion = await fixture.assertion({ sub: 'user-7' })
  const third = (await must(fixture.requestToken({ assertion }))).access_token

  await person.open(tokens)
  expect(await person.text()).toContain('It has 3 live tokens from 1 address.')
  expect(await rows().nth(0).innerText()).toContain('for user-7')
  expect(await rows().nth(2).innerText()).toContain('read write')
  await person.look('account-tokens')
  await rows().nth(1).getByRole('link', { name: 'Revoke…' }).click()
  await person.page.waitForURL(/revoke$/)
  expect(await person.text()).toMatch(/It was issued just now to 127\.0\.0\.1 with the key test/)
  expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Keep it')
  await person.look('revoke-token')
  const page = person.page.url()
  await person.press('Revoke token')
  expect(await person.text()).toMatch(/The token tok_\w+…\w+ is revoked\./)
  expect(await rows().count()).toBe(2)
  expect([await isActive(first), await isActive(second), await isActive(third)]).toEqual([true, false, true])

  await person.page.goto(page)
  expect(await person.text()).toContain('This token is over already')
})

test('all of them are revoked with a count of what stops', async () => {
  const token = await fixture.getToken()
  await person.open(tokens)
  await person.press('Revoke all…')
  expect(await person.text()).toContain('3 live tokens from 1 address stop working now')
  await person.look('revoke-all-tokens')
  await person.press('Revoke all tokens')
  expect(await person.text()).toContain('No live tokens')
  expect(await isActive(token)).toBe(false)
  expect(await isActive(await fixture.getToken())).toBe(true)
})

test('many go on page by page', async () => {
  const busy = await server.createFixture({ organizationId: organization.id, tokenFormat: 'opaque' })
  for (let count = 0; count < 51; count++) await busy.getToken()
  await person.open(tokensOf(busy.accountId))
  expect(await person.text()).toContain('more than 50 live tokens')
  expect(await rows().count()).toBe(50)
  await person.press('Next page')
  expect(await rows().count()).toBe(1)
})

test('who may only read sees no way to revoke, and is refused it', async () => {
  const viewer = await createAdministrator(server, organization.id, {
    role_ids: [await builtInRoleId(server, 'viewer')],
  })
  const token = await fixture.getToken()
  const client = await createConsoleClient(server, viewer)
  expect((await client.get(tokens)).text).not.toContain('Revoke…')
  const { items } = await must(server.api('GET', `${fixture.accountPath}/tokens`))
  expect((await client.post(`${tokens}/revoke`)).status).toBe(403)
  expect((await client.post(`${tokens}/${items[0].id}/revoke`)).status).toBe(403)
  expect(await isActive(token)).toBe(true)
})

test('a token of another account is not there', async () => {
  const other = await server.createFixture({ organizationId: organization.id })
  await other.getToken()
  const { items } = await must(server.api('GET', `${other.accountPath}/tokens`))
  expect(await person.open(`${tokens}/${items[0].id}/revoke`)).toBe(404)
})
