import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { OWN, PLATFORM, SCREENS, TENANT } from '../../src/console/screens.ts'
import { createPerson, launchChromium } from '../support/console.ts'
import { type ConsoleClient, createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId } from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

const COOKIE = 'countersign-unsent'
const HOURS = 3_600

let server: TestServer
let fixture: Fixture
let slug: string
let owner: TestAdministrator
let form: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  slug = (await must(server.api('GET', `/organizations/${fixture.organizationId}`))).slug
  form = `/organizations/${slug}/service-accounts/new`
})
beforeEach(async () => {
  owner = await createAdministrator(server, fixture.organizationId, {
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
})
afterAll(async () => {
  await server?.close()
})

/** Sends a form after the session has ended, and answers what the browser has got. */
async function sendLate(
  path: string,
  fields: Record<string, string>,
): Promise<{ client: ConsoleClient; answer: Answer }> {
  const client = await createConsoleClient(server, owner)
  await client.formToken()
  server.clock.advance(2 * HOURS)
  const answer = await client.post(path, fields)
  expect(answer.status).toBe(303)
  return { client, answer }
}

/** Signs somebody in with the cookies that the browser has already. */
async function signInAgain(client: ConsoleClient, who: TestAdministrator): Promise<ConsoleClient> {
  const again = await createConsoleClient(server, who)
  again.cookies.set(COOKIE, client.cookies.get(COOKIE) ?? '')
  return again
}

describe('in a browser', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
  })

  test('what was typed is there again after signing in, and is sent only then', async () => {
    const person = await createPerson(browser, server)
    await person.signIn(owner)
    await person.open(form)
    await person.fill({
      Name: 'Typed late',
      'Description optional': 'One line\nand another',
      'Owner optional': 'Ada',
    })
    server.clock.advance(2 * HOURS)
    await person.press('Create service account')
    expect(await person.text()).toContain('You were signed out before your form was sent')
    await person.look('sign-in-after-form')
    await person.fill({ 'Email address': owner.email, Password: owner.password })
    await person.press('Sign in')
    expect(await person.heading()).toBe('Your form was not sent')
    expect(await person.text()).toContain('Typed late')
    await person.look('unsent')
    await person.press('Back to the form')
    expect(await person.text()).toContain('This form has not been sent yet')
    expect(await person.page.getByLabel('Name', { exact: true }).inputValue()).toBe('Typed late')
    expect(await person.page.getByLabel('Description').inputValue()).toBe('One line\nand another')
    await person.look('unsent-form')
    expect(await namesOfAccounts()).not.toContain('Typed late')
    await person.press('Create service account')
    expect(await namesOfAccounts()).toContain('Typed late')
    await person.open('/unsent')
    expect(await person.heading()).toBe('Nothing is waiting')
  })
})

async function namesOfAccounts(): Promise<string[]> {
  const { items } = await must(
    server.api('GET', `/organizations/${fixture.organizationId}/service-accounts?limit=200`),
  )
  return items.map(({ name }: { name: string }) => name)
}

test('it waits wherever somebody comes in, until they take it or leave it', async () => {
  const { client, answer } = await sendLate(form, { name: 'Typed late' })
  expect(answer.headers.get('location')).toBe('/console/sign-in?next=%2Fconsole%2Funsent')
  const again = await signInAgain(client, owner)
  expect((await again.get('/')).headers.get('location')).toBe('/console/unsent')
  expect((await again.get('/unsent')).text).toContain('Typed late')
  await again.post('/unsent')
  expect(again.cookies.get(COOKIE)).toBe('')
})

test('it is for the person who typed it, and for a quarter of an hour', async () => {
  const { client } = await sendLate(form, { name: 'Typed late' })
  const other = await createAdministrator(server, fixture.organizationId, {
    role_ids: [await builtInRoleId(server, 'owner')],
  })
  const somebody = await signInAgain(client, other)
  expect((await somebody.get('/unsent')).text).not.toContain('Typed late')
  server.clock.advance(800)
  expect((await (await signInAgain(client, owner)).get('/unsent')).text).toContain('Typed late')
  server.clock.advance(200)
  expect((await (await signInAgain(client, owner)).get('/unsent')).text).not.toContain('Typed late')
})

test('nobody can read the cookie or make one', async () => {
  const { client, answer } = await sendLate(form, { name: 'Typed late' })
  const set = answer.headers.getSetCookie().find((text) => text.startsWith(COOKIE)) ?? ''
  expect(set).toMatch(/; Max-Age=900; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Strict$/)
  const cookie = client.cookies.get(COOKIE) ?? ''
  expect(Buffer.from(cookie, 'base64url').toString('latin1')).not.toContain('Typed late')
  const again = await signInAgain(client, owner)
  for (const value of ['', 'x', `${cookie.slice(0, -2)}xx`]) {
    again.cookies.set(COOKIE, value)
    const { status, text } = await again.get('/unsent')
    expect(status).toBe(200)
    expect(text).not.toContain('Typed late')
  }
})

test.each([
  ['an assertion', '/try-it', { assertion: 'aaa.bbb.ccc', scope: 'kept' }, 'aaa.bbb'],
  [
    'a private key',
    '/service-accounts/:acc/keys/new/register',
    { name: 'kept', public_key: '-----BEGIN PRIVATE KEY-----' },
    'BEGIN',
  ],
])('%s is not kept, what was typed beside it is', async (_what, path, fields, secret) => {
  const { client } = await sendLate(
    `/organizations/${slug}${path.replace(':acc', fixture.accountId)}`,
    fields,
  )
  const { text } = await (await signInAgain(client, owner)).get('/unsent')
  expect(text).toContain('kept')
  expect(text).not.toContain(secret)
})

test.each([
  ['with another token', { name: 'Typed late', form_token: 'a'.repeat(43) }],
  ['with nothing typed', { name: '' }],
  [
    'longer than a cookie',
    { name: Array.from({ length: 4_000 }, (_, index) => index.toString(36)).join('') },
  ],
])('a form %s is not kept, and leads to the sign-in page all the same', async (_what, fields) => {
  const { client, answer } = await sendLate(form, fields)
  expect(answer.headers.get('location')).toBe('/console/sign-in')
  expect(client.cookies.has(COOKIE)).toBe(false)
})

test('forms of one’s own security are never kept', async () => {
  for (const [method, path] of OWN) {
    if (method !== 'POST' || path.includes(':')) continue
    const { client } = await sendLate(path, { name: 'x', password: 'a password', new_password: 'another' })
    expect({ path, isKept: client.cookies.has(COOKIE) }).toEqual({ path, isKept: false })
  }
})

describe('every form of the console', () => {
  let operator: ConsoleClient
  let forms: { page: string; action: string; content: string }[]
  beforeAll(async () => {
    const { organization } = await must(server.api('GET', '/me'))
    const administrator = await createAdministrator(server, organization.id, {
      role_ids: [await builtInRoleId(server, 'owner')],
      groups_administrator: 'manager',
    })
    operator = await createConsoleClient(server, administrator)
    const screens = [
      ...PLATFORM.map(([method, path]) => [method, path]),
      ...[...SCREENS, ...TENANT].map(([method, path]) => [method, `/organizations/${slug}${path}`]),
    ]
    forms = []
    for (const [method, path = ''] of screens) {
      const page = path.replace(':acc', fixture.accountId).replace(':key', fixture.keyId)
      // Other objects have the same kinds of forms on pages without one.
      if (method !== 'GET' || page.includes(':') || page.endsWith('/export')) continue
      const { text } = await operator.get(page)
      for (const [content, action = ''] of text.matchAll(
        /<form [^>]*method="post" action="([^"]+)"[\s\S]*?<\/form>/g,
      ))
        forms.push({ page, action: action.replace('/console', ''), content })
    }
  })
  const typed = (content: string) =>
    [...content.matchAll(/<(?:input|select|textarea)[^>]*>/g)]
      .map(([tag]) => tag)
      .filter((tag) => !tag.includes('type="hidden"'))

  test('calls its secrets so that they are not kept', () => {
    const secrets = forms
      .flatMap(({ content }) => typed(content))
      .filter((tag) => tag.includes('type="password"'))
    for (const tag of secrets) expect(tag).toMatch(/name="[^"]*(?:password|secret|code)/)
  })

  test('is shown again, and does nothing, when somebody comes back to it', async () => {
    const withFields = forms.filter(({ content }) => typed(content).length > 0)
    expect(withFields.length).toBeGreaterThan(5)
    const answers = await Promise.all(
      withFields.map(async ({ page, action }) => {
        const { status, text } = await operator.post(action, { unsent: '1' })
        return { page, action, status, isTold: text.includes('This form has not been sent yet') }
      }),
    )
    expect(answers).toEqual(
      withFields.map(({ page, action }) => ({ page, action, status: 422, isTold: true })),
    )
  })
})
