import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { builtInRoleId, createOrganization } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator } from '../support/sign-in.ts'

const DAY = 86_400_000

let server: TestServer
let browser: Browser
let person: Person
let organization: { id: string; slug: string }
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  organization = await createOrganization(server)
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

const pageOf = (accountId: string) => `/organizations/${organization.slug}/service-accounts/${accountId}`
const midnight = (daysAgo: number) =>
  new Date(Math.floor(server.clock.now() / DAY) * DAY - daysAgo * DAY).toISOString()

/** As the server has counted it. */
async function tally(fixture: Fixture, keyId: string, daysAgo: number, tokens: number): Promise<void> {
  const { pool } = server.connection
  await pool.query(
    'insert into tallied_days (day) select $1 where not exists (select from tallied_days where day = $1::timestamptz)',
    [midnight(daysAgo)],
  )
  if (tokens > 0)
    await pool.query('insert into token_tallies (account_id, day, key_id, tokens) values ($1, $2, $3, $4)', [
      fixture.accountId,
      midnight(daysAgo),
      keyId,
      tokens,
    ])
}

test('a new account says what it lacks, and where that is done', async () => {
  const { id } = await must(
    server.api('POST', `/organizations/${organization.id}/service-accounts`, { name: 'Fresh' }),
  )
  await person.open(pageOf(id))
  const steps = person.page.getByRole('list', { name: 'What to do next' })
  expect(await steps.innerText()).toMatch(/may do nothing yet.*has no key.*Nobody is responsible/s)
  expect(await person.text()).toContain('None in the last 30 days.')
  await person.look('account-overview-new')
  await steps.getByRole('link', { name: 'Give access' }).click()
  await person.page.waitForURL(/permissions$/)
})

test('the tokens of a month are drawn by day and key, today’s among them, and stand in a table', async () => {
  const fixture = await server.createFixture({ organizationId: organization.id })
  await must(
    server.api('PATCH', fixture.accountPath, { name: 'Billing sync', owner_contact: 'finance@acme.example' }),
  )
  await server.connection.pool.query(
    `update accounts set created_at = now() - interval '90 days' where id = $1`,
    [fixture.accountId],
  )
  const { key: second } = await must(
    server.api('POST', `${fixture.accountPath}/keys`, { type: 'rsa', name: 'Staging' }),
  )
  for (let day = 1; day <= 20; day++) {
    await tally(fixture, fixture.keyId, day, 40 + ((day * 37) % 60))
    await tally(fixture, second.id, day, day % 7 === 0 ? 0 : (day * 11) % 25)
  }
  await fixture.getToken()
  await fixture.getToken()
  await person.open(pageOf(fixture.accountId))
  const charts = person.page.locator('.chart svg')
  expect(await charts.count()).toBe(2)
  expect(await charts.nth(0).getAttribute('aria-label')).toMatch(
    /^test: \d+ tokens in 30 days, at most \d+ on /,
  )
  // What nobody counted is not shown as nothing.
  expect(await person.page.locator('.chart figcaption').innerText()).toContain('Days that nobody counted')
  expect(await charts.nth(0).locator('.chart-unknown').count()).toBe(9)
  await person.look('account-overview')

  await person.page.getByText('The same as a table').click()
  const rows = person.page.getByRole('table', { name: 'Tokens by day and key' }).getByRole('row')
  expect(await rows.count()).toBe(31)
  expect((await rows.nth(1).innerText()).split(/\s+/).slice(-2)).toEqual(['2', '0'])
  expect(await rows.nth(30).innerText()).toContain('not counted')
  expect(await person.page.locator('.chart [style]').count()).toBe(0)
  await person.look('account-overview-table')
})

test('of many keys the smallest share a row', async () => {
  const fixture = await server.createFixture({ organizationId: organization.id })
  const keys = await Promise.all(
    Array.from({ length: 7 }, async (_, number) =>
      must(server.api('POST', `${fixture.accountPath}/keys`, { type: 'api_token', name: `Key ${number}` })),
    ),
  )
  for (const [number, { key }] of keys.entries()) await tally(fixture, key.id, 2, (number + 1) * 10)
  await person.open(pageOf(fixture.accountId))
  const rows = person.page.locator('.chart-row')
  expect(await rows.count()).toBe(6)
  expect(await rows.nth(0).innerText()).toMatch(/Key 6\s+70/)
  expect(await rows.nth(5).innerText()).toMatch(/2 other keys\s+30/)
})
