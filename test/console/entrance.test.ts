import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { issueSetUpLink } from '../../src/directory/set-up.ts'
import { createPerson, launchChromium, type Person, signInByProvider } from '../support/console.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { createOrganization } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import { codeFor, createAdministrator, enrol, secretOf, signIn } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let person: Person
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})
beforeEach(async () => {
  person = await createPerson(browser, server)
})

const PASSWORD = 'a long pass phrase of a person'

let count = 0
async function invite(): Promise<{ url: string; email: string; organizationId: string }> {
  const { id } = await createOrganization(server)
  const email = `invited-${++count}@people.example`
  const { invitation_url: url } = await must(
    server.api('POST', `/organizations/${id}/administrators`, { name: 'Grace', email }),
  )
  return { url, email, organizationId: id }
}

describe('the set-up link', () => {
  test('makes the first administrator, once, and leaves the address without its secret', async () => {
    const services = { db: server.connection.db, clock: server.clock, issuer: server.issuer }
    const link = await issueSetUpLink(services)
    expect(await issueSetUpLink(services)).toBeUndefined()
    await person.open('/set-up')
    await person.look('set-up-code')
    await person.page.goto(link!.url)
    await person.page.waitForSelector('text=Be the first administrator')
    expect(person.page.url()).toBe(`${server.issuer}/console/set-up`)
    await person.look('set-up')
    await person.fill({ 'Your name': 'Ada', 'Email address': 'ada', Password: 'short' })
    await person.press('Create my account')
    expect(await person.text()).toContain('This is not an address')
    await person.look('set-up-faults')
    await person.fill({ 'Email address': 'ada@acme.example', Password: PASSWORD })
    await person.press('Create my account')
    expect(await person.heading()).toBe('Service accounts')
    expect(await person.text()).toContain('You are the first administrator')
    await person.look('first-page')
    await person.page.locator('.switcher summary').click()
    await person.press('All organizations')
    expect(await person.heading()).toBe('Organizations')

    const late = await createPerson(browser, server)
    await late.page.goto(link!.url)
    await late.page.waitForSelector('text=This link does not work any more')
    await late.look('link-used')
  })
})

describe('an invitation', () => {
  test('is accepted by choosing a password, and the link then works no more', async () => {
    const { url, email } = await invite()
    await person.page.goto(url)
    await person.page.waitForSelector('text=Choose a password')
    expect(person.page.url()).toBe(`${server.issuer}/console/invitation`)
    expect(await person.text()).toContain(email)
    await person.look('invitation')
    await person.fill({ Password: 'too short' })
    await person.press('Set the password')
    expect(await person.text()).toContain('at least 12 characters')
    await person.fill({ Password: PASSWORD })
    await person.press('Set the password')
    // No roles: nothing of the organization to see.
    expect(await person.heading()).toBe('Your security')
    const late = await createPerson(browser, server)
    await late.page.goto(url)
    await late.page.waitForSelector('text=This link does not work any more')
  })

  test('is accepted without JavaScript, by pasting the link', async () => {
    const { url } = await invite()
    const plain = await createPerson(browser, server, { hasJavaScript: false })
    await plain.page.goto(url)
    await plain.fill({ Code: url })
    await plain.press('Go on')
    expect(await plain.heading()).toBe('Choose a password')
    await plain.fill({ Password: PASSWORD })
    await plain.press('Set the password')
    expect(await plain.heading()).toBe('Your security')
    await plain.press('Sign out')
    expect(await plain.text()).toContain('You are signed out')
  })

  test('leaves its secret in no address, cookie or log', async () => {
    const { url } = await invite()
    const secret = secretOf(url)
    const seen: string[] = []
    person.page.on('request', (request) => seen.push(request.url(), JSON.stringify(request.headers())))
    await person.page.goto(url)
    await person.page.waitForSelector('text=Choose a password')
    expect(seen.join('\n')).not.toContain(secret)
    expect(JSON.stringify(await person.context.cookies())).not.toContain(secret)
    expect(JSON.stringify(server.logs())).not.toContain(secret)
    expect(await person.page.evaluate('history.length')).toBeLessThan(4)
  })
})

describe('signing in', () => {
  test('leads back to the page that was asked for, and signing out ends the session', async () => {
    const administrator = await createAdministrator(server, (await createOrganization(server)).id)
    await person.open('/security?some=thing')
    expect(await person.heading()).toBe('Sign in')
    await person.look('sign-in')
    await person.fill({ 'Email address': administrator.email, Password: 'not the password' })
    await person.press('Sign in')
    expect(await person.text()).toContain('Address and password do not fit')
    expect(await person.page.getByLabel('Email address').inputValue()).toBe(administrator.email)
    await person.look('sign-in-refused')
    await person.fill({ Password: administrator.password })
    await person.press('Sign in')
    expect(person.page.url()).toBe(`${server.issuer}/console/security?some=thing`)
    const cookies = await person.context.cookies()
    await person.press('Sign out')
    expect(await person.heading()).toBe('Sign in')
    await person.context.addCookies(cookies)
    await person.open('/security')
    expect(await person.heading()).toBe('Sign in')
  })

  test.each([
    'https://evil.example/console/',
    '//evil.example/console/',
    '/\\evil.example',
    '/docs',
    'javascript:alert(1)',
  ])('never leads to %s', async (next) => {
    const administrator = await createAdministrator(server, (await createOrganization(server)).id)
    await person.open(`/sign-in?${new URLSearchParams({ next })}`)
    await person.fill({ 'Email address': administrator.email, Password: administrator.password })
    await person.press('Sign in')
    expect(person.page.url()).toBe(`${server.issuer}/console/security`)
  })

  test('names the organization where an address is in several', async () => {
    const email = 'everywhere@people.example'
    const slugs: string[] = []
    for (const password of ['the pass phrase of one', 'the pass phrase of another']) {
      const { id, slug } = await createOrganization(server)
      slugs.push(slug)
      const invited = await must(
        server.api('POST', `/organizations/${id}/administrators`, { name: slug, email }),
      )
      const guest = await createPerson(browser, server)
      await guest.page.goto(invited.invitation_url)
      await guest.page.waitForSelector('text=Choose a password')
      await guest.fill({ Password: password })
      await guest.press('Set the password')
      expect(await guest.page.locator('.organization-name').innerText()).toBe(slug)
    }
    await person.signIn({ email, password: 'the pass phrase of another' })
    expect(await person.text()).toContain('name the organization if your address is in several')
    await person.page.getByText('Your address is in several organizations?').click()
    await person.look('sign-in-organization')
    await person.fill({ 'Organization optional': slugs[1] ?? '', Password: 'the pass phrase of another' })
    await person.press('Sign in')
    expect(await person.page.locator('.organization-name').innerText()).toBe(slugs[1])
  })

  test('asks for the second factor where there is one, and opens nothing before', async () => {
    const administrator = await createAdministrator(server, (await createOrganization(server)).id)
    const { secret, recoveryCodes } = await enrol(
      server,
      await signIn(server, administrator),
      administrator.password,
    )
    await person.signIn(administrator)
    expect(await person.heading()).toBe('Second factor')
    await person.look('second-factor')
    await person.open('/security')
    expect(await person.heading()).toBe('Second factor')
    await person.fill({ Code: '000000' })
    await person.press('Sign in')
    expect(await person.text()).toContain('The code does not hold')
    await person.fill({ Code: codeFor(server, secret, 1) })
    await person.press('Sign in')
    expect(await person.heading()).toBe('Your security')
    await person.press('Sign out')
    await person.signIn(administrator)
    await person.fill({ Code: recoveryCodes[0]! })
    await person.press('Sign in')
    expect(await person.text()).toContain('9 codes left')
  })

  test('is slowed down after too many wrong passwords, and says for how long', async () => {
    const administrator = await createAdministrator(server, (await createOrganization(server)).id)
    for (let round = 0; round < 11; round++) {
      await person.signIn({ email: administrator.email, password: 'not the password' })
    }
    expect(await person.text()).toMatch(/Too many attempts\s+.*Try again in \d+ minutes/)
  })

  test('a link on another site finds somebody signed in, although their cookie is kept back at first', async () => {
    const administrator = await createAdministrator(server, (await createOrganization(server)).id)
    await person.signIn(administrator)
    // The test server's other name is another site.
    const elsewhere = server.issuer.replace('127.0.0.1', 'localhost')
    await person.page.route(`${elsewhere}/elsewhere`, (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<a href="${server.issuer}/console/security">go</a>`,
      }),
    )
    await person.page.goto(`${elsewhere}/elsewhere`)
    await person.page.click('a')
    await person.page.waitForSelector('h1:text("Your security")')
  })
})

describe('single sign-on', () => {
  test('goes to the identity provider and comes back signed in; refusals are told in words', async () => {
    const provider = await startIdentityProvider(`${server.issuer}/sign-in/openid/callback`)
    try {
      const organization = await createOrganization(server)
      await must(
        server.api('PUT', `/organizations/${organization.id}/identity-provider`, {
          issuer: provider.issuer,
          client_id: provider.clientId,
          client_secret: provider.clientSecret,
          email_domains: ['acme.example'],
        }),
      )
      await must(
        server.api('POST', `/organizations/${organization.id}/administrators`, {
          name: 'Linus',
          email: 'linus@acme.example',
        }),
      )
      provider.people.set('linus', { email: 'linus@acme.example', email_verified: true })
      provider.people.set('stranger', { email: 'stranger@acme.example', email_verified: true })
      await person.open('/sign-in')
      await person.look('sign-in-with-single-sign-on')
      expect(await goThroughProvider('stranger')).toContain('Nobody here has your address')
      await person.look('single-sign-on-refused')
      expect(await goThroughProvider('linus')).toContain('identity provider, which also looks after')
      await person.look('security-single-sign-on')

      async function goThroughProvider(subject: string): Promise<string> {
        person = await createPerson(browser, server)
        await signInByProvider(person, provider, organization.slug, subject)
        return person.text()
      }
    } finally {
      await provider.close()
    }
  })
})
