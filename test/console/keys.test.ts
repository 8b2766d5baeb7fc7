import { generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { importPKCS8, SignJWT } from 'jose'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId, createOrganization } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let organization: { id: string; slug: string }
let owner: TestAdministrator
let person: Person
let viewer: string
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  organization = await createOrganization(server)
  viewer = await builtInRoleId(server, 'viewer')
  owner = await createAdministrator(server, organization.id, {
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

const accounts = () => `/organizations/${organization.slug}/service-accounts`
const create = (name: string): Promise<{ id: string }> =>
  must(server.api('POST', `/organizations/${organization.id}/service-accounts`, { name, role_ids: [viewer] }))

async function download(button: string): Promise<string> {
  const [file] = await Promise.all([
    person.page.waitForEvent('download'),
    person.page.getByRole('button', { name: button }).click(),
  ])
  return readFile(await file.path(), 'utf8')
}

/** Asks for a token as the client libraries do that read such files: without `sub`. Answers the status. */
async function exchange(keyFile: Record<string, string>): Promise<number> {
  const iat = Math.floor(server.clock.now() / 1000)
  const assertion = await new SignJWT({
    iss: keyFile.client_email!,
    aud: keyFile.token_uri!,
    iat,
    exp: iat + 300,
  })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: keyFile.private_key_id! })
    .sign(await importPKCS8(keyFile.private_key!, 'RS256'))
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }
  const response = await fetch(keyFile.token_uri!, { method: 'POST', body: new URLSearchParams(form) })
  return response.status
}

test('from a new account to a key file that works, to the end of the key', async () => {
  await person.open(accounts())
  await person.press('New service account')
  await person.fill({ Name: 'Nightly export' })
  await person.page.getByLabel('viewer').check()
  await person.page.getByLabel('JSON key file').check()
  await person.press('Create service account')
  expect(await person.heading()).toBe('Store the key file')
  const shownAt = person.page.url()
  await person.look('shown-once')
  const keyFile = JSON.parse(await download('Download nightly-export.json'))
  expect(await person.page.locator('details.masked').getAttribute('open')).toBeNull()
  expect(shownAt).not.toContain(keyFile.private_key_id)
  expect(await exchange(keyFile)).toBe(200)

  await person.page.getByLabel('I have stored it').check()
  await person.press('Done')
  await person.press('Keys')
  expect(await person.text()).toContain('RSA key')
  await person.look('keys')
  await person.page.locator('tbody th a').click()
  await person.page.waitForURL(/keys\/key_/)
  expect(await person.text()).toContain(keyFile.private_key_id)
  await person.look('key')

  await person.press('Disable…')
  expect(await person.text()).toContain('1 live token from 1 address stops working now.')
  await person.look('disable-key')
  await person.press('Disable key')
  expect(await exchange(keyFile)).toBe(400)
  await person.press('Enable')
  expect(await exchange(keyFile)).toBe(200)
  await person.press('Delete…')
  expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Keep it')
  await person.press('Delete key')
  expect(await person.text()).toMatch(/RSA key [\d-]+ is deleted\./)
  expect(await exchange(keyFile)).toBe(400)
})

test('a key that the browser makes: only its public half is sent, and the file works', async () => {
  const { id } = await create('Browser made')
  const sent: string[] = []
  person.page.on('request', (request) => sent.push(request.postData() ?? ''))
  await person.open(`${accounts()}/${id}/keys/new`)
  await person.look('new-key')
  await person.page.getByText('Generate in this browser').click()
  await person.page.waitForURL(/browser$/)
  await person.look('generate-in-browser')
  const keyFile = JSON.parse(await download('Generate and save the key file'))
  expect(await exchange(keyFile)).toBe(400)
  await person.press('Register public half')
  expect(await person.text()).toContain('is registered.')
  expect(await exchange(keyFile)).toBe(200)
  expect(sent.filter((body) => body.includes('PRIVATE'))).toEqual([])
  expect(sent.some((body) => body.includes('PUBLIC'))).toBe(true)
})

test('a secret is in one answer: sent again, the form shows none and makes nothing', async () => {
  const { id } = await create('Shown once')
  const client = await createConsoleClient(server, owner)
  const path = `${accounts()}/${id}/keys/new/api-token`
  const once = /name="once" value="([^"]+)"/.exec((await client.get(path)).text)?.[1] ?? ''
  const first = await client.post(path, { once, expires_on: '' })
  expect(first.status).toBe(200)
  expect(first.headers.get('cache-control')).toBe('no-store')
  const [token] = /csk_\w+/.exec(first.text) ?? []
  expect(token).toBeDefined()
  expect(first.headers.getSetCookie().join()).not.toContain(token)
  for (const value of [once, '', '1.x', `9999999999.${'a'.repeat(22)}`]) {
    const again = await client.post(path, { once: value, expires_on: '' })
    expect(again.status).toBe(409)
    expect(again.text).toContain('This form was sent before')
    expect(again.text).not.toContain('csk_')
  }
  const { items } = await must(
    server.api('GET', `/organizations/${organization.id}/service-accounts/${id}/keys`),
  )
  expect(items).toHaveLength(1)
})

test.each([
  ['pem', 'Store the private key'],
  ['p12', 'Store the PKCS#12 file'],
])('a generated pair is handed over as %s', async (format, title) => {
  const { id } = await create(`As ${format}`)
  await person.open(`${accounts()}/${id}/keys/new/generate`)
  await person.page.locator(`input[name=format][value=${format}]`).check()
  await person.press('Generate key')
  expect(await person.heading()).toBe(title)
  expect((await download(`Download as-${format}.${format}`)).length).toBeGreaterThan(500)
  await person.look(`shown-once-${format}`)
  await person.page.getByLabel('I have stored it').check()
  await person.press('Done')
})

test('without JavaScript an API token is shown, masked until it is asked for, and leaving takes a tick', async () => {
  const { id } = await create('No script')
  const quiet = await createPerson(browser, server, { hasJavaScript: false })
  await quiet.signIn(owner)
  await quiet.open(`${accounts()}/${id}/keys/new/api-token`)
  await quiet.press('Make API token')
  expect(await quiet.page.locator('#secret').isVisible()).toBe(false)
  await quiet.page.getByText('Show the API token').click()
  expect(await quiet.page.locator('#secret').innerText()).toMatch(/^csk_/)
  await quiet.page.getByRole('button', { name: 'Done' }).click()
  expect(await quiet.heading()).toBe('Store the API token')
  await quiet.page.getByLabel('I have stored it').check()
  await quiet.press('Done')
  expect(await quiet.text()).toContain('API token')
})

test('a public key is registered from what is pasted; a private one is refused and not shown again', async () => {
  const { id } = await create('Own pair')
  const pair = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  await person.open(`${accounts()}/${id}/keys/new/register`)
  await person.page.getByLabel('Public key').fill(pair.privateKey)
  await person.press('Register key')
  expect(await person.text()).toContain('a private key was sent')
  expect(await person.page.content()).not.toContain(pair.privateKey.split('\n')[1])
  await person.look('register-key-faults')
  await person.page.getByLabel('Public key').fill('nonsense')
  await person.press('Register key')
  expect(await person.page.getByLabel('Public key').inputValue()).toBe('nonsense')
  await person.page.getByLabel('Public key').fill(pair.publicKey)
  await person.fill({ 'Name optional': 'Laptop', 'Expires on optional': '2000-01-01' })
  await person.press('Register key')
  expect(await person.page.locator('.summary').count()).toBe(1)
  await person.fill({ 'Expires on optional': '' })
  await person.press('Register key')
  expect(await person.text()).toContain('Laptop is registered.')
  await person.press('Laptop')
  await person.fill({ Name: 'Desk' })
  await person.press('Save changes')
  expect(await person.heading()).toBe('Desk')
})
