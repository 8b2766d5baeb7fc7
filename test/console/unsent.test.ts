import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { OWN, PLATFORM, SCREENS, TENANT } from '../../src/console/screens.ts'
import { createPerson, launchChromium } from '../support/console.ts'
import { type ConsoleClient, createConsoleClient } from '../support/console-client.ts'
import { createKeyPair } from '../support/jwt.ts'
import { builtInRoleId } from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

const COOKIE = 'countersign-unsent'
const HOURS = 3_600
/** Of the fixture's resource server. */
const PERMISSION = 'read'

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
  who = owner,
): Promise<{ client: ConsoleClient; answer: Answer }> {
  const client = await createConsoleClient(server, who)
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
  let administrator: TestAdministrator
  let operator: ConsoleClient
  let ids: Record<string, string>
  let forms: { page: string; action: string; content: string }[]
  beforeAll(async () => {
    const { organization } = await must(server.api('GET', '/me'))
    administrator = await createAdministrator(server, organization.id, {
      role_ids: [await builtInRoleId(server, 'owner')],
      groups_administrator: 'manager',
    })
    operator = await createConsoleClient(server, administrator)
    ids = await furnish()
    const screens = [
      ...PLATFORM.map(([method, path]) => [method, path]),
      ...[...SCREENS, ...TENANT].map(([method, path]) => [method, `/organizations/${slug}${path}`]),
    ]
    forms = []
    for (const [method, path = ''] of screens) {
      if (method !== 'GET' || path.endsWith('/export')) continue
      const page = pathOf(path)
      const { text } = await operator.get(page)
      for (const [content, action = ''] of text.matchAll(
        /<form [^>]*method="post" action="([^"]+)"[\s\S]*?<\/form>/g,
      ))
        forms.push({ page, action: action.replace('/console', ''), content })
    }
  })

  /** An object of every kind, by its name in a path. A screen with other ids adds them. */
  async function furnish(): Promise<Record<string, string>> {
    const { accountId, keyId, organizationId, resourceServer } = fixture
    const path = `/organizations/${organizationId}`
    const role = await must(server.api('POST', `${path}/roles`, { name: 'Bookkeeping' }))
    const group = await must(server.api('POST', `${path}/groups`, { name: 'Northern branch' }))
    await must(server.api('PATCH', fixture.accountPath, { role_ids: [role.id] }))
    const invited = await createAdministrator(server, organizationId)
    const { publicJwk } = await createKeyPair('ES256')
    const api = `/resource-servers/${resourceServer.id}`
    const key = await must(server.api('POST', `${api}/keys`, { public_key: publicJwk }))
    const { items: secrets } = await must(server.api('GET', `${api}/secrets`))
    const { items: signingKeys } = await must(server.api('GET', '/signing-keys'))
    return {
      ':acc': accountId,
      ':key': keyId,
      ':role': role.id,
      ':grp': group.id,
      ':adm': invited.id,
      ':tok': `tok_${'0'.repeat(36)}`,
      ':rss': secrets[0].id,
      ':rsk': key.id,
      ':rs': resourceServer.id,
      ':sig': signingKeys[0].id,
    }
  }

  /** A page, with what it is about where that stands in its query. */
  function pathOf(path: string): string {
    const query = path.includes('/permissions/take')
      ? `?${new URLSearchParams({ thing: `role ${ids[':role']}` })}`
      : /:rs\/permissions\/(edit|remove)$/.test(path)
        ? `?${new URLSearchParams({ name: PERMISSION })}`
        : ''
    return Object.entries(ids).reduce((text, [word, id]) => text.replace(word, id), path) + query
  }

  const fieldsOf = (content: string) =>
    [...content.matchAll(/<(?:input|select|textarea)[^>]*>/g)]
      .map(([tag]) => tag)
      .filter((tag) => !/name="(form_token|once)"/.test(tag) && tag.includes('name="'))

  test('calls its secrets so that they are not kept', () => {
    const secrets = forms
      .flatMap(({ content }) => fieldsOf(content))
      .filter((tag) => tag.includes('type="password"'))
    for (const tag of secrets) expect(tag).toMatch(/name="[^"]*(?:password|secret|code)/)
  })

  test('is shown again, and does nothing, when somebody comes back to it', async () => {
    const withFields = forms.filter(({ content }) => fieldsOf(content).length > 0)
    expect(withFields.length).toBeGreaterThan(25)
    const answers = []
    for (const { page, action, content } of withFields) {
      const fields = Object.fromEntries(
        [...content.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)]
          .map(([, name = '', value = '']): [string, string] => [name, value])
          .filter(([name]) => name !== 'form_token'),
      )
      const { status, text } = await operator.post(action, { ...fields, unsent: '1' })
      answers.push({ page, status, isTold: text.includes('This form has not been sent yet') })
    }
    expect(answers).toEqual(withFields.map(({ page }) => ({ page, status: 422, isTold: true })))
  })

  test('is found again where its address says what it is about', async () => {
    const action = `/resource-servers/${ids[':rs']}/permissions/edit?${new URLSearchParams({ name: PERMISSION })}`
    const { client } = await sendLate(action, { description: 'Typed late' }, administrator)
    const again = await signInAgain(client, administrator)
    expect((await again.get('/unsent')).text).toContain(`action="/console${action}"`)
  })
})
