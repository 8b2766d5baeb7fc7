import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId } from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

const PAGES = '/resource-servers'

let server: TestServer
let browser: Browser
let operator: TestAdministrator
let person: Person
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  const { organization } = await must(server.api('GET', '/me'))
  operator = await createAdministrator(server, organization.id, {
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
  person = await createPerson(browser, server)
  await person.signIn(operator)
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

/** What the page with a secret shows, without its being looked at. */
async function readSecret(): Promise<string> {
  return (await person.page.locator('#secret').textContent()) ?? ''
}

function introspect(id: string, secret: string, token: string): Promise<Answer> {
  const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
  return server.post('/oauth/introspect', { token }, { authorization })
}

const idInAddress = () => /rs_[0-9a-z]+/.exec(person.page.url())?.[0] ?? ''
const tokenAt = (fixture: Fixture, resource: string) => fixture.getToken({ resource })

test('an API is registered, its secret shown once and used to introspect, rotated and deleted', async () => {
  await person.open(PAGES)
  expect(await person.text()).toContain('No API of yours yet')
  await person.look('resource-servers-empty')
  await person.press('New resource server')
  await person.look('new-resource-server')
  await person.fill({
    Name: 'Invoices',
    Identifier: 'invoices',
    'Permissions optional': 'invoices:read Read\n"no"',
  })
  await person.press('Register resource server')
  expect(await person.text()).toContain('must be an absolute URI')
  expect(await person.page.getByLabel('Permissions optional').inputValue()).toContain('invoices:read Read')
  await person.look('new-resource-server-faults')
  await person.fill({ Identifier: 'https://invoices.example.com' })
  await person.press('Register resource server')
  expect(await person.text()).toContain('«"no"»: A permission is written without spaces and quotes')
  await person.fill({ 'Permissions optional': 'invoices:read Read invoices\ninvoices:write' })
  await person.press('Register resource server')
  expect(await person.heading()).toBe('Store the secret')
  expect(person.page.url()).toMatch(/resource-servers\/new$/)
  const first = await readSecret()
  expect(first).toMatch(/^css_[\w-]{43}$/)
  await person.look('shown-once-secret')
  await person.page.getByLabel('I have stored it').check()
  await person.press('Done')
  expect(await person.heading()).toBe('Invoices')
  expect(await person.page.content()).not.toContain(first)
  await person.look('resource-server')

  const id = idInAddress()
  const fixture = await server.createFixture()
  await must(
    server.api('PATCH', fixture.accountPath, {
      permissions: [{ resource_server_id: id, permission: 'invoices:read' }],
    }),
  )
  const token = await tokenAt(fixture, 'https://invoices.example.com')
  expect((await introspect(id, first, token)).body).toMatchObject({ active: true, scope: 'invoices:read' })

  await person.press('Credentials')
  expect(await person.text()).toContain('just now')
  await person.look('resource-server-credentials')
  await person.press('Rotate')
  await person.look('rotate-secret')
  await person.press('Make secret')
  const second = await readSecret()
  expect((await introspect(id, first, token)).status).toBe(200)
  expect((await introspect(id, second, token)).body.active).toBe(true)
  await person.page.getByLabel('I have stored it').check()
  await person.press('Done')
  const former = person.page.locator('tr', { hasText: first.slice(-4) })
  await Promise.all([person.page.waitForNavigation(), former.getByText('Delete…').click()])
  expect(await person.text()).toContain('Last used just now. Whoever asks with it is refused from now on.')
  expect(await person.text()).toContain('Invoices can still ask with what else it has: 1 secret.')
  expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Keep it')
  await person.look('delete-secret')
  await person.press('Delete secret')
  expect((await introspect(id, first, token)).status).toBe(401)
  expect((await introspect(id, second, token)).body.active).toBe(true)

  await person.press('Overview')
  expect(await person.text()).toContain('1 account of 1 organization, with 1 live token')
  await person.press('Delete…')
  expect(await person.text()).toContain('1 live token stops working now.')
  expect(await person.text()).toContain('1 account of 1 organization loses its permissions.')
  await person.look('delete-resource-server')
  await person.press('Delete resource server')
  expect(await person.text()).toContain('Invoices is deleted.')
  expect((await introspect(id, second, token)).status).toBe(401)
})

describe('an API that is there', () => {
  let fixture: Fixture
  let here: string
  beforeAll(async () => {
    fixture = await server.createFixture()
    here = `${PAGES}/${fixture.resourceServer.id}`
    await must(server.api('PATCH', `${PAGES}/${fixture.resourceServer.id}`, { name: 'Ledger' }))
  })

  test('says how its tokens are, and that is changed', async () => {
    await person.open(PAGES)
    expect(await person.text()).toContain('built in')
    await person.look('resource-servers')
    await person.press('Ledger')
    await person.press('Edit')
    await person.page.getByText('Opaque').click()
    await person.fill({ 'Life time in seconds': '10' })
    await person.press('Save changes')
    expect(await person.text()).toContain('Give a number of seconds from 60 to 86400.')
    await person.look('edit-resource-server-faults')
    await person.fill({ 'Life time in seconds': '3600' })
    await person.page.getByText('Client certificates').click()
    await person.press('Save changes')
    expect(await person.text()).toContain('Your changes are saved.')
    const { items } = await must(server.api('GET', '/resource-servers'))
    expect(items.find(({ id }: { id: string }) => id === fixture.resourceServer.id)).toMatchObject({
      token_format: 'opaque',
      token_lifetime_seconds: 3600,
      sender_constraints: ['dpop'],
    })
    expect(await person.text()).toContain('1 hour')
    expect(await tokenAt(fixture, fixture.resourceServer.identifier)).toMatch(/^cst_/)
  })

  test('undoes nothing that somebody else changed while its form was open', async () => {
    const client = await createConsoleClient(server, operator)
    const form = `${here}/edit`
    const seen = /name="seen" value="([^"]+)"/.exec((await client.get(form)).text)?.[1] ?? ''
    const before = await must(server.api('PATCH', here, { sender_constraints: ['mtls'] }))
    const answer = await client.post(form, {
      seen,
      name: 'Stale',
      ...{ token_format: 'jwt', token_lifetime_seconds: '86400' },
      ...{ signing_algorithm: 'ES256', introspection_signing_algorithm: 'ES256' },
    })
    expect(answer.status).toBe(409)
    expect(answer.text).toContain('This was changed meanwhile')
    expect(await must(server.api('GET', here))).toEqual(before)
  })

  test('has permissions that are added, described and removed, with who loses them', async () => {
    await person.open(`${here}/permissions`)
    await person.look('resource-server-permissions')
    for (const [name, text] of [
      ['', 'Give the permission a name.'],
      ['two words', 'without spaces and quotes'],
      ['read', 'This permission is there already.'],
      ['groups', 'is the scope that asks for groups'],
    ] as const) {
      await person.fill({ Name: name })
      await person.press('Add permission')
      expect(await person.text()).toContain(text)
    }
    await person.fill({ Name: 'close', 'What it allows optional': 'Close the books' })
    await person.press('Add permission')
    expect(await person.text()).toContain('close can be granted now.')
    const row = (name: string) =>
      person.page.locator('tbody tr', { has: person.page.getByRole('rowheader', { name, exact: true }) })
    await Promise.all([person.page.waitForNavigation(), row('close').getByText('Edit').click()])
    await person.fill({ 'What it allows optional': 'Close a year' })
    await person.press('Save changes')
    expect(await row('close').innerText()).toContain('Close a year')

    const token = await tokenAt(fixture, fixture.resourceServer.identifier)
    await Promise.all([person.page.waitForNavigation(), row('write').getByText('Remove…').click()])
    expect(await person.text()).toContain(
      '1 account of 1 organization loses it now, also in tokens that are live.',
    )
    await person.look('remove-permission')
    await person.press('Remove permission')
    expect(await person.text()).toContain('write is removed')
    expect((await fixture.introspect(token)).body.scope).toBe('read')
    const { permissions } = await must(server.api('GET', `${PAGES}/${fixture.resourceServer.id}`))
    expect(permissions.map(({ name }: { name: string }) => name)).toEqual([
      'admin',
      'close',
      'read',
      'tokens:introspect',
    ])
  })

  test('registers public keys; a private one is refused and not shown again', async () => {
    const pair = generateKeyPairSync('ed25519', {
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    await person.open(`${here}/credentials`)
    await person.press('Register a key')
    await person.page.getByLabel('Public key').fill(pair.privateKey)
    await person.press('Register key')
    expect(await person.page.content()).not.toContain(pair.privateKey.split('\n')[1])
    await person.page.getByLabel('Public key').fill(pair.publicKey)
    await person.fill({ 'Name optional': 'Two machines' })
    await person.press('Register key')
    expect(await person.text()).toContain('Two machines is registered.')
    await person.press('Two machines')
    await person.look('resource-server-key')
    await person.press('Disable…')
    expect(await person.text()).toContain('It has never been used.')
    await person.look('disable-resource-server-key')
    await person.press('Disable key')
    await person.press('Enable')
    await person.fill({ Name: 'One machine' })
    await person.press('Save changes')
    expect(await person.heading()).toBe('One machine')
    await person.press('Delete…')
    await person.press('Delete key')
    expect(await person.text()).toContain('One machine is deleted.')
    expect(await person.text()).toContain('No keys yet')
  })
})

test('a secret is in one answer: sent again, the form shows none and makes nothing', async () => {
  const { resourceServer } = await server.createFixture()
  const client = await createConsoleClient(server, operator)
  const path = `${PAGES}/${resourceServer.id}/secrets/new`
  const once = /name="once" value="([^"]+)"/.exec((await client.get(path)).text)?.[1] ?? ''
  const first = await client.post(path, { once, name: 'Again' })
  expect(first.text).toMatch(/css_[\w-]{43}/)
  expect(first.headers.get('cache-control')).toBe('no-store')
  const again = await client.post(path, { once, name: 'Again' })
  expect(again.status).toBe(409)
  expect(again.text).not.toContain('css_')
  const { items } = await must(server.api('GET', `${PAGES}/${resourceServer.id}/secrets`))
  expect(items.filter(({ name }: { name: string }) => name === 'Again')).toHaveLength(1)
})

test('the management API keeps its permissions and cannot be deleted, whatever is sent', async () => {
  const { items } = await must(server.api('GET', '/resource-servers?limit=200'))
  const { id } = items.find((item: { built_in: boolean }) => item.built_in)
  await person.open(`${PAGES}/${id}`)
  expect(await person.text()).not.toContain('Delete…')
  await person.look('resource-server-built-in')
  const client = await createConsoleClient(server, operator)
  expect((await client.post(`${PAGES}/${id}/delete`)).status).toBe(409)
  expect((await client.post(`${PAGES}/${id}/permissions`, { name: 'more', description: '' })).status).toBe(
    409,
  )
  expect((await client.post(`${PAGES}/${id}/permissions/remove?name=audit%3Aread`)).status).toBe(404)
  expect((await must(server.api('GET', `/resource-servers/${id}`))).permissions).toHaveLength(
    items.find((item: { built_in: boolean }) => item.built_in).permissions.length,
  )
})

test('what is not of this resource server is not there', async () => {
  const [one, other] = [await server.createFixture(), await server.createFixture()]
  const { items } = await must(server.api('GET', `${PAGES}/${other.resourceServer.id}/secrets`))
  const client = await createConsoleClient(server, operator)
  const path = `${PAGES}/${one.resourceServer.id}`
  for (const page of [
    `${path}/secrets/${items[0].id}/delete`,
    `${path}/secrets/new?instead_of=${items[0].id}`,
    `${path}/keys/${one.keyId}`,
    `${path}/permissions/remove`,
    `${path}/permissions/remove?name=tokens%3Aintrospect`,
  ])
    expect({ page, status: (await client.get(page)).status }).toEqual({ page, status: 404 })
})
