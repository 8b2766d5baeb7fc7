import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { type ConsoleClient, createConsoleClient } from '../support/console-client.ts'
import { eventually } from '../support/eventually.ts'
import { builtInRoleId } from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

let server: TestServer
let fixture: Fixture
let slug: string
let owner: TestAdministrator
let client: ConsoleClient
let browser: Browser
let person: Person
let refused: Answer
let issued: Answer
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  slug = (await must(server.api('GET', `/organizations/${fixture.organizationId}`))).slug
  owner = await createAdministrator(server, fixture.organizationId, {
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
  await must(server.api('PATCH', fixture.accountPath, { name: 'Nightly export', description: 'At four.' }))
  issued = await fixture.requestToken()
  refused = await fixture.requestToken({
    assertion: await fixture.assertion({ aud: 'https://elsewhere.example' }),
  })
  client = await createConsoleClient(server, owner)
  await eventually(async () => expect((await read()).text).toContain('audience mismatch'))
  browser = await launchChromium()
  person = await createPerson(browser, server)
  await person.signIn(owner)
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

function read(query: Record<string, string> = {}): Promise<Answer> {
  return client.get(`/organizations/${slug}/audit?${new URLSearchParams(query)}`)
}

/** The sentences of the events on a page. */
async function sentences(query: Record<string, string> = {}): Promise<string[]> {
  const { text } = await read(query)
  return [...text.matchAll(/class="trail-what">([\s\S]*?)<span class="trail-from"/g)].map(([, words = '']) =>
    words.replaceAll(/<[^>]+>/g, '').trim(),
  )
}
const requestOf = (answer: Answer) => answer.headers.get('x-request-id') ?? ''

test('the trail is read, narrowed down and opened', async () => {
  await person.open('/')
  await person.press('Audit trail')
  expect(await person.text()).toContain('changed name and description of the service account Nightly export')
  await person.look('audit')
  await person.page.getByText('was refused a token').click()
  expect(await person.text()).toContain(requestOf(refused))
  await person.look('audit-event')
  await person.press('Issued tokens')
  expect(await person.text()).toContain('got a token')
  await person.look('audit-tokens')
  await person.press('Changes and refusals')
  await person.page.getByText('Narrow down').click()
  await person.page.getByLabel('Action').selectOption('token.refused')
  await person.press('Show')
  expect(await person.page.locator('.trail > li').count()).toBe(1)
  await person.look('audit-narrowed')
  await person.press('Show all')
  expect(await person.page.locator('.trail > li').count()).toBeGreaterThan(3)
})

test('every filter is in the address, and those that are given must all hold', async () => {
  const day = new Date(server.clock.now()).toISOString().slice(0, 10)
  const all = await sentences()
  expect(await sentences({ from: day, to: day })).toEqual(all)
  expect(await sentences({ to: '2020-01-01' })).toEqual([])
  expect(await sentences({ from: '2100-01-01' })).toEqual([])
  expect(await sentences({ action: 'service_account.updated' })).toHaveLength(1)
  expect(await sentences({ action: 'service_account.updated', target: 'other' })).toEqual([])
  expect(await sentences({ actor: owner.id })).toEqual(
    all.filter((sentence) => sentence.startsWith(owner.name)),
  )
  expect(await sentences({ request: requestOf(refused) })).toEqual([
    'Nightly export was refused a token: audience mismatch',
  ])
  expect(await sentences({ request: requestOf(issued) })).toEqual([expect.stringContaining('got a token')])
  expect((await sentences({ show: 'all' })).length).toBe(all.length + 1)
  expect(await sentences({ show: 'tokens', subject: 'nobody' })).toEqual([])
})

test.each(['2026-02-30', 'yesterday', '9999-99-99', '2026-1-1'])(
  'a day that is none (%s) is told, and nothing is shown or exported for it',
  async (from) => {
    const answer = await read({ from })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('This is not a day, such as 2027-01-31.')
    expect(answer.text).not.toContain('class="trail"')
    const file = await client.get(`/organizations/${slug}/audit/export?from=${from}`)
    expect(file.headers.get('content-type')).toMatch(/^text\/html/)
  },
)

test('the export is the one of the API, with the filters of the page', async () => {
  await person.open(`/organizations/${slug}/audit?show=all&target=${fixture.accountId}`)
  const [file] = await Promise.all([
    person.page.waitForEvent('download'),
    person.page.getByRole('link', { name: 'Export' }).click(),
  ])
  expect(file.suggestedFilename()).toMatch(new RegExp(`^${slug}-audit-\\d{4}-\\d\\d-\\d\\d\\.ndjson$`))
  const response = await fetch(
    `${server.url}/api/v1/organizations/${fixture.organizationId}/audit-events?target=${fixture.accountId}`,
    { headers: { authorization: `Bearer ${await server.operatorToken()}`, accept: 'application/x-ndjson' } },
  )
  const saved = await readFile(await file.path(), 'utf8')
  expect(saved.split('\n').length).toBeGreaterThan(2)
  expect(saved).toBe(await response.text())
})

test('an export is a file for saving, which browsers neither show nor keep', async () => {
  const { headers, text } = await client.get(`/organizations/${slug}/audit/export`)
  expect(headers.get('content-disposition')).toMatch(/^attachment; filename="[\w.-]+"$/)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('cache-control')).toBe('no-store')
  for (const line of text.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('chain.hash')
})

test('the pages of a long trail follow one another', async () => {
  const path = `/organizations/${fixture.organizationId}/groups`
  for (let index = 0; index < 60; index++) await must(server.api('POST', path, { name: `Group ${index}` }))
  const first = await sentences({ action: 'group.created' })
  const { text } = await read({ action: 'group.created' })
  const [, next = ''] = /href="([^"]+)">Next page/.exec(text) ?? []
  expect(next).toContain('action=group.created')
  const second = await client.get(next.replaceAll('&amp;', '&').replace('/console', ''))
  expect(first).toHaveLength(50)
  expect(second.text.match(/trail-what/g)).toHaveLength(10)
})

test('the end of the chain is told, to be kept elsewhere', async () => {
  const { rows } = await server.connection.pool.query(
    'select sequence, encode(hash, $1) as hash from audit_heads where organization_id = $2',
    ['hex', fixture.organizationId],
  )
  const { text } = await read()
  expect(text).toContain(rows[0].hash)
  expect(text).toContain(`npx countersign audit verify --organization ${slug}`)
})

test('another organization’s events are nowhere in it', async () => {
  const foreign = await server.createFixture({ algorithm: 'ES256' })
  expect(await sentences({ target: foreign.accountId })).toEqual([])
  const { headers } = await foreign.requestToken()
  expect(await sentences({ request: headers.get('x-request-id') ?? '' })).toEqual([])
})
