import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

const PAGES = '/signing-keys'

let server: TestServer
let browser: Browser
let operator: TestAdministrator
let person: Person
let fixture: Fixture
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
  // Not the algorithm of the operator's own tokens.
  fixture = await server.createFixture({ signingAlgorithm: 'EdDSA' })
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

type Listed = { id: string; algorithm: string; status: string }

async function keysOf(algorithm: string): Promise<Listed[]> {
  const { items } = await must(server.api('GET', '/signing-keys?limit=200'))
  return items.filter((key: Listed) => key.algorithm === algorithm)
}

async function findKey(algorithm: string, status: string): Promise<Listed> {
  return (await keysOf(algorithm)).find((key) => key.status === status) as Listed
}

const isActive = async (token: string) => (await fixture.introspect(token)).body.active
const row = (id: string) => person.page.locator('tbody tr', { has: person.page.locator(`a[title="${id}"]`) })

test('the keys that sign, stand ready and retire are listed, with their live tokens, and rotated', async () => {
  const early = await fixture.getToken()
  // One of another algorithm, and one that no key has signed.
  await (await server.createFixture({ signingAlgorithm: 'RS256' })).getToken()
  await (await server.createFixture({ tokenFormat: 'opaque' })).getToken()
  const signs = await findKey('EdDSA', 'active')
  const ready = await findKey('EdDSA', 'next')
  await person.open(PAGES)
  expect(await person.page.locator('tbody tr').count()).toBe(6)
  expect(await row(signs.id).innerText()).toMatch(/current[\s\S]*\b1$/)
  expect(await row(ready.id).innerText()).toMatch(/next[\s\S]*\b0$/)
  expect(await person.text()).toContain(`${server.issuer}/.well-known/jwks.json`)
  await person.look('signing-keys')

  await person.press('Rotate now…')
  expect(await person.heading()).toBe('The next signing keys are too new')
  expect(await person.text()).toContain('They can sign in 1 hour.')
  await person.look('rotate-too-soon')
  server.clock.advance(3_700)
  // Sessions do not rest that long.
  await person.signIn(operator)
  const late = await fixture.getToken()
  await person.open(PAGES)
  await person.press('Rotate now…')
  expect(await person.text()).toContain('No live token stops working')
  expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Leave them')
  await person.look('rotate')
  await person.press('Rotate keys')
  expect(await person.text()).toContain('The keys have changed.')
  expect(await row(signs.id).innerText()).toMatch(/retired[\s\S]*leaves in 1 day[\s\S]*\b1$/)
  expect(await row(ready.id).innerText()).toContain('current')
  await person.look('signing-keys-rotated')
  expect(await isActive(late)).toBe(true)
  expect(await isActive(early)).toBe(false)
})

test('a key that may be in other hands is revoked: its tokens end now, those of other keys do not', async () => {
  const former = await findKey('EdDSA', 'retiring')
  await fixture.getToken()
  server.clock.advance(1)
  const other = await fixture.getToken()
  const signs = await findKey('EdDSA', 'active')
  await person.open(`${PAGES}/${signs.id}`)
  expect(await person.text()).toContain('2 live tokens')
  await person.look('signing-key')
  await person.press('Revoke…')
  expect(await person.text()).toContain('2 live tokens stop working now.')
  expect(await person.text()).toContain('so short a time that some APIs refuse its tokens')
  expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Keep it')
  await person.look('revoke-signing-key')
  await person.press('Revoke key')
  expect(await person.text()).toContain('The key is revoked.')
  expect(await person.text()).not.toContain('Revoke…')
  await person.look('signing-key-revoked')
  expect(await isActive(other)).toBe(false)
  const published = await (await fetch(`${server.issuer}/.well-known/jwks.json`)).text()
  expect(published).not.toContain(signs.id)
  expect(await isActive(await fixture.getToken())).toBe(true)

  await person.open(`${PAGES}/${former.id}/revoke`)
  expect(await person.text()).toContain('It signs no more, so nothing takes its place.')
  await person.press('Revoke key')
  await person.open(PAGES)
  expect(await person.text()).toContain('Former keys')
  await person.look('signing-keys-former')
})

test('a rotation that comes too soon is refused, and who may only read sees no way to one', async () => {
  const before = await keysOf('EdDSA')
  const client = await createConsoleClient(server, operator)
  const answer = await client.post(`${PAGES}/rotate`)
  expect(answer.status).toBe(409)
  expect(answer.text).toContain('too new')
  expect(await keysOf('EdDSA')).toEqual(before)

  const { organization } = await must(server.api('GET', '/me'))
  const viewer = await createAdministrator(server, organization.id, {
    role_ids: [await builtInRoleId(server, 'viewer')],
  })
  const reader = await createConsoleClient(server, viewer)
  const [first] = before
  expect((await reader.get(PAGES)).text).not.toContain('Rotate now')
  expect((await reader.get(`${PAGES}/${first?.id}`)).text).not.toContain('Revoke…')
  expect((await reader.post(`${PAGES}/${first?.id}/revoke`)).status).toBe(403)
})
