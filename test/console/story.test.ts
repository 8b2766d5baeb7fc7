import { randomUUID } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { importPKCS8, SignJWT } from 'jose'
import * as oauth from 'oauth4webapi'
import type { Browser } from 'playwright-core'
import { makeFolder, runCommand, type ServerProcess, startProcess, urlOf } from '../support/command.ts'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

// One long story, on a server in a process of its own and with its own clock.
jest.setTimeout(180_000)

let folder: string
let database: TestDatabase
let server: ServerProcess
let browser: Browser
let person: Person
beforeAll(async () => {
  folder = await makeFolder()
  database = await createTestDatabase()
  server = await startProcess({ cwd: folder, env: { DATABASE_URL: urlOf(database) } })
  browser = await launchChromium()
  person = await createPerson(browser, server)
})
afterAll(async () => {
  await browser?.close()
  await server?.end('SIGTERM')
  await database?.drop()
  await rm(folder, { recursive: true, force: true })
})

type KeyFile = Record<'issuer' | 'client_id' | 'private_key_id' | 'private_key', string>

/** Gets an access token by the key file alone, as an integration would by a client library. */
async function getToken(keyFile: KeyFile): Promise<string> {
  const issuer = new URL(keyFile.issuer)
  const options = { [oauth.allowInsecureRequests]: true }
  const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options })
  const authorizationServer = await oauth.processDiscoveryResponse(issuer, discovered)
  const client = { client_id: keyFile.client_id }
  const response = await oauth.genericTokenEndpointRequest(
    authorizationServer,
    client,
    oauth.None(),
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    { assertion: await sign(keyFile) },
    options,
  )
  const { access_token } = await oauth.processGenericTokenEndpointResponse(
    authorizationServer,
    client,
    response,
  )
  return access_token
}

async function sign({ client_id, private_key, private_key_id, issuer }: KeyFile): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'RS256', kid: private_key_id })
    .setIssuer(client_id)
    .setSubject(client_id)
    .setAudience(issuer)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime('1 minute')
    .sign(await importPKCS8(private_key, 'RS256'))
}

/** Asks as the operator does, whose key file the first start has left. */
async function introspect(token: string): Promise<Record<string, unknown>> {
  const { issuer } = server
  const asked = await runCommand(['token', '--key-file', 'keys/operator.json', '--issuer', issuer], {
    cwd: folder,
  })
  const response = await fetch(`${issuer}/oauth/introspect`, {
    method: 'POST',
    headers: { authorization: `Bearer ${asked.stdout.trim()}` },
    body: new URLSearchParams({ token }),
  })
  return (await response.json()) as Record<string, unknown>
}

test('from the link of a first start to a key file, its tokens, and their end', async () => {
  const [, link = ''] = /(http\S+\/console\/set-up#csi_[\w-]{43})/.exec(server.stdout()) ?? []
  await person.page.goto(link)
  await person.page.waitForSelector('text=Be the first administrator')
  await person.fill({
    'Your name': 'Ada',
    'Email address': 'ada@acme.example',
    Password: 'a long pass phrase of a person',
  })
  await person.press('Create my account')

  await person.press('New service account')
  await person.fill({ Name: 'Nightly export' })
  await person.page.getByLabel('viewer').check()
  await person.page.getByLabel('JSON key file').check()
  await person.press('Create service account')
  const [file] = await Promise.all([
    person.page.waitForEvent('download'),
    person.page.getByRole('button', { name: 'Download nightly-export.json' }).click(),
  ])
  const keyFile = JSON.parse(await readFile(await file.path(), 'utf8')) as KeyFile
  await person.page.getByLabel('I have stored it').check()
  await person.press('Done')

  const token = await getToken(keyFile)
  expect(await introspect(token)).toMatchObject({ active: true, client_id: keyFile.client_id })
  const assertion = await sign(keyFile)
  await person.press('Try it')
  await person.fill({ Assertion: assertion })
  await person.press('Explain')
  expect(await person.text()).toContain('This would get a token')

  await person.press('Service accounts')
  await person.press('Nightly export')
  await person.press('Keys')
  await person.page.locator('tbody th a').click()
  await person.page.waitForURL(/keys\/key_/)
  await person.press('Delete…')
  expect(await person.text()).toMatch(/1 live token from 1 address stops working now/)
  await person.press('Delete key')
  expect(await person.text()).toContain('is deleted.')

  expect(await introspect(token)).toEqual({ active: false })
  await expect(getToken(keyFile)).rejects.toMatchObject({ error: 'invalid_grant' })
  await person.press('Try it')
  await person.fill({ Assertion: assertion })
  await person.press('Explain')
  expect(await person.text()).toContain('This would be refused: key_revoked')
  await person.press('Audit trail')
  expect(await person.text()).toMatch(/Ada deleted the key/)
  await person.look('story-end')
})
