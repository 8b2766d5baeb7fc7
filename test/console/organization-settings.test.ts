import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person, signInByProvider } from '../support/console.ts'
import { createConsoleClient } from '../support/console-client.ts'
import { startIdentityProvider, type TestIdentityProvider } from '../support/identity-provider.ts'
import { builtInRoleId, createOrganization, managementServerId, request } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, type TestAdministrator } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let provider: TestIdentityProvider
let organization: { id: string; slug: string }
let owner: TestAdministrator
let person: Person
let settings: string
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  provider = await startIdentityProvider(`${server.issuer}/sign-in/openid/callback`)
  organization = await createOrganization(server)
  settings = `/organizations/${organization.slug}/settings`
  owner = await createAdministrator(server, organization.id, {
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
  person = await createPerson(browser, server)
  await person.signIn(owner)
})
afterAll(async () => {
  await browser?.close()
  await provider?.close()
  await server?.close()
})

const read = () => must(server.api('GET', `/organizations/${organization.id}`))

test('an owner names the organization and sets its rules', async () => {
  await person.open(settings)
  expect(await person.text()).toContain('They may be without an end.')
  // Its own people can neither disable nor delete it.
  expect(await person.text()).not.toContain('Disable or delete')
  await person.look('settings')
  await person.press('Edit')
  await person.fill({
    Name: '',
    'Longest life of a new key, in days optional': '0',
    'Keys of each account': '101',
    'Tokens of each account in a minute optional': '60',
  })
  await person.press('Save changes')
  expect(await person.text()).toContain('Give the organization a name.')
  expect(await person.text()).toContain('Give a number of days from 1 to 3650, or nothing.')
  expect(await person.text()).toContain('Give a number from 1 to 100.')
  await person.look('edit-settings-faults')
  await person.fill({
    Name: 'Acme',
    'Longest life of a new key, in days optional': '365',
    'Keys of each account': '3',
  })
  await person.page.getByLabel('This server may generate private keys').uncheck()
  await person.page.getByLabel('Every assertion must bear a jti').check()
  await person.press('Save changes')
  expect(await person.text()).toContain('Your changes are saved.')
  expect(await person.text()).toContain('They expire after 365 days at most.')
  expect(await read()).toMatchObject({
    name: 'Acme',
    settings: {
      require_jti: true,
      max_key_lifetime_days: 365,
      allow_generated_keys: false,
      allow_api_tokens: true,
      max_keys_per_account: 3,
      token_requests_per_minute: 60,
    },
  })
  await person.press('Edit')
  await person.fill({ 'Longest life of a new key, in days optional': '' })
  await person.press('Save changes')
  expect((await read()).settings.max_key_lifetime_days).toBeNull()
})

test('a form that was open while somebody else changed a rule undoes nothing', async () => {
  const client = await createConsoleClient(server, owner)
  const form = `${settings}/edit`
  const seen = /name="seen" value="([^"]+)"/.exec((await client.get(form)).text)?.[1] ?? ''
  const before = (await read()).settings
  await must(
    server.api('PATCH', `/organizations/${organization.id}`, {
      settings: { require_jti: !before.require_jti, max_keys_per_account: 7 },
    }),
  )
  const answer = await client.post(form, { seen, name: 'Stale', max_keys_per_account: '3' })
  expect(answer.status).toBe(409)
  expect(answer.text).toContain('This was changed meanwhile')
  expect(answer.text).toContain('value="7"')
  expect(await read()).toMatchObject({
    settings: { require_jti: !before.require_jti, max_keys_per_account: 7 },
  })
})

test('API tokens are forbidden with what that stops, and allowed again', async () => {
  const account = await must(
    server.api('POST', `/organizations/${organization.id}/service-accounts`, {
      name: 'Script',
      role_ids: [await builtInRoleId(server, 'viewer')],
      initial_key: { type: 'api_token' },
    }),
  )
  const me = () => request(server, 'GET', '/me', { token: account.initial_key.api_token })
  expect((await me()).status).toBe(200)
  await person.open(settings)
  await person.press('Forbid API tokens…')
  expect(await person.text()).toContain('1 API token stops working now')
  await person.look('forbid-api-tokens')
  await person.press('Forbid API tokens')
  expect(await person.text()).toContain('API tokens are forbidden.')
  expect((await me()).status).toBe(401)
  await person.press('Allow API tokens')
  expect((await me()).status).toBe(200)
})

describe('single sign-on', () => {
  const page = () => `${settings}/single-sign-on`
  const fields = () => ({
    Issuer: provider.issuer,
    'Client id': provider.clientId,
    'Email domains': 'people.example',
  })

  test('is set up, tested, used, changed and removed; its secret is never shown', async () => {
    await person.open(settings)
    await person.press('Set up single sign-on')
    await person.look('single-sign-on-empty')
    await person.fill({ ...fields(), 'Email domains': 'no domain' })
    await person.press('Set up single sign-on')
    expect(await person.text()).toContain('Give domains such as acme.example')
    await person.fill(fields())
    await person.press('Set up single sign-on')
    expect(await person.text()).toContain('Give the client secret.')
    await person.look('single-sign-on-faults')
    await person.fill({ 'New client secret optional': provider.clientSecret })
    await person.press('Set up single sign-on')
    expect(await person.text()).toContain('stored, and never shown')
    expect(await person.page.content()).not.toContain(provider.clientSecret)
    await person.press('Test the provider')
    expect(await person.text()).toContain('The provider answers as it should.')
    await person.look('single-sign-on')

    await signInBy(owner.email)
    await person.open(page())
    await person.fill({ 'Email domains': 'people.example\nacme.example' })
    await person.press('Save changes')
    expect(await person.text()).toContain('acme.example, people.example')
    // Kept: it still signs people in.
    await signInBy(owner.email)

    await person.open(page())
    await person.press('Remove…')
    expect(await person.text()).toContain('1 administrator has signed in by it, and has a password besides.')
    await person.look('remove-single-sign-on')
    await person.press('Remove single sign-on')
    expect(await person.text()).toContain('Single sign-on is removed.')
    expect((await server.api('GET', `/organizations/${organization.id}/identity-provider`)).status).toBe(404)
  })

  test('a provider that is none is found by the test, and another one does not get the secret of the first', async () => {
    await must(
      server.api('PUT', `/organizations/${organization.id}/identity-provider`, {
        issuer: provider.issuer,
        client_id: provider.clientId,
        client_secret: provider.clientSecret,
        email_domains: ['people.example'],
      }),
    )
    await person.open(page())
    await person.fill({ Issuer: `${server.issuer}/none` })
    await person.press('Save changes')
    expect(await person.text()).toContain('Another issuer has another secret.')
    await person.page.getByLabel('None').check()
    await person.press('Save changes')
    expect(await person.text()).toContain('none, a public client')
    await person.press('Test the provider')
    expect(await person.text()).toContain('The identity provider cannot be used')
    expect(await person.text()).toContain('/none/.well-known/openid-configuration')
    await person.look('single-sign-on-unavailable')
  })

  test('is not set by who may not do what those may who would sign in by it', async () => {
    const management = await managementServerId(server)
    const clerk = await createAdministrator(server, organization.id, {
      permissions: ['organizations:read', 'organizations:manage'].map((permission) => ({
        resource_server_id: management,
        permission,
      })),
    })
    const client = await createConsoleClient(server, clerk)
    const answer = await client.post(page(), {
      issuer: 'https://login.evil.example',
      client_id: 'x',
      client_kind: 'none',
      client_secret: '',
      email_domains: 'people.example',
    })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('You can give only what you have')
    const { issuer } = await must(server.api('GET', `/organizations/${organization.id}/identity-provider`))
    expect(issuer).not.toContain('evil')
  })

  /** Through the page for it, as somebody at another browser. */
  async function signInBy(email: string): Promise<void> {
    provider.people.set('ada', { email, email_verified: true })
    const other = await createPerson(browser, server)
    await signInByProvider(other, provider, organization.slug, 'ada')
    expect(await other.heading()).toBe('Service accounts')
    await other.context.close()
  }
})

describe('an operator', () => {
  let operator: Person
  let fixture: Fixture
  let tenant: string
  beforeAll(async () => {
    const { organization: own } = await must(server.api('GET', '/me'))
    operator = await createPerson(browser, server)
    await operator.signIn(
      await createAdministrator(server, own.id, {
        role_ids: [await builtInRoleId(server, 'owner')],
        groups_administrator: 'manager',
      }),
    )
    fixture = await server.createFixture()
    const { slug } = await must(server.api('GET', `/organizations/${fixture.organizationId}`))
    tenant = `/organizations/${slug}/settings`
  })

  test('disables an organization with what that stops, and enables it again', async () => {
    const token = await fixture.getToken()
    await operator.open(tenant)
    await operator.press('Disable…')
    expect(await operator.text()).toContain('1 live token stops working now.')
    expect(await operator.text()).toContain('1 service account and 0 administrators cannot act')
    expect(await operator.page.evaluate('document.activeElement.textContent')).toBe('Keep it active')
    await operator.look('disable-organization')
    await operator.press('Disable organization')
    expect(await operator.text()).toContain('is disabled. Its live tokens have ended.')
    await operator.look('settings-disabled')
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
    await operator.press('Enable')
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
    await fixture.getToken()
  })

  test('deletes one once its short name is typed', async () => {
    const token = await fixture.getToken()
    await operator.open(tenant)
    await operator.press('Delete…')
    expect(await operator.text()).toContain('1 service account, 0 administrators and 1 key are deleted')
    await operator.look('delete-organization')
    await operator.fill({ 'Short name of the organization': 'another' })
    await operator.press('Delete organization')
    expect(await operator.text()).toContain('This is not the short name')
    await operator.look('delete-organization-faults')
    expect((await fixture.introspect(token)).body.active).toBe(true)
    await operator.fill({ 'Short name of the organization': tenant.split('/')[2] ?? '' })
    await operator.press('Delete organization')
    expect(await operator.heading()).toBe('Organizations')
    expect(await operator.text()).toContain('is deleted.')
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
    expect(await operator.open(tenant)).toBe(404)
  })

  test('cannot disable or delete the organization of the operators', async () => {
    await operator.open('/organizations/operator/settings')
    expect(await operator.text()).toContain('It cannot be disabled or deleted.')
    await operator.open('/organizations/operator/settings/delete')
    await operator.fill({ 'Short name of the organization': 'operator' })
    await operator.press('Delete organization')
    expect(await operator.text()).toContain('The operator organization cannot be disabled or deleted.')
  })
})
