import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startIdentityProvider, type TestIdentityProvider } from '../support/identity-provider.ts'
import { createOrganization, expectProblem } from '../support/management.ts'
import { type Answer, must, startTestServer, type TestServer } from '../support/server.ts'
import { type Browser, createBrowser, SESSION_COOKIE, secretOf } from '../support/sign-in.ts'

const OPENID_COOKIE = 'countersign-openid'

let server: TestServer
let provider: TestIdentityProvider
let organization: { id: string; slug: string }
let administrators: string
beforeAll(async () => {
  server = await startTestServer()
  provider = await startIdentityProvider(`${server.issuer}/sign-in/openid/callback`)
})
afterAll(async () => {
  await provider.close()
  await server.close()
})
beforeEach(async () => {
  organization = await createOrganization(server)
  administrators = `/organizations/${organization.id}/administrators`
  await setProvider(organization.id)
})

function setProvider(organizationId: string, members: Record<string, unknown> = {}): Promise<unknown> {
  return must(
    server.api('PUT', `/organizations/${organizationId}/identity-provider`, {
      issuer: provider.issuer,
      client_id: provider.clientId,
      client_secret: provider.clientSecret,
      email_domains: ['acme.example'],
      ...members,
    }),
  )
}

let count = 0
/** Somebody whom the provider knows, and whom the organization has invited. */
async function invitePerson(): Promise<{ id: string; email: string; subject: string; invitation: string }> {
  const subject = `subject-${++count}`
  const email = `${subject}@acme.example`
  provider.people.set(subject, { email, email_verified: true })
  const invited = await must(server.api('POST', administrators, { name: subject, email }))
  return { id: invited.id, email, subject, invitation: secretOf(invited.invitation_url) }
}

async function begin(browser: Browser, slug = organization.slug): Promise<string> {
  return (await must(browser.call('POST', '/openid', { organization: slug }))).authorization_url
}

function comeBack(browser: Browser, url: URL): Promise<Answer> {
  return browser.call('GET', url.pathname.replace('/sign-in', '') + url.search)
}

async function signInAs(subject: string): Promise<{ browser: Browser; answer: Answer }> {
  const browser = createBrowser(server)
  const url = await provider.logIn(await begin(browser), subject)
  return { browser, answer: await comeBack(browser, url) }
}

describe('an administrator signs in by the identity provider', () => {
  test('the first time by the address, without accepting the invitation', async () => {
    const { id, email, subject, invitation } = await invitePerson()
    const { browser, answer } = await signInAs(subject)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/)
    expect(browser.cookies.has(OPENID_COOKIE)).toBe(false)
    const { account, session } = await must(browser.call('GET', '/session'))
    expect(account).toMatchObject({ id, email, has_password: false })
    expect(session.method).toBe('openid')
    expect((await must(server.api('GET', `${administrators}/${id}`))).status).toBe('active')
    const late = { invitation, password: 'a long pass phrase' }
    expectProblem(await browser.call('POST', '/invitation/accept', late), 410, 'invitation_invalid')
    expectProblem(await browser.call('POST', '/totp', { password: 'x' }), 409, 'password_absent')
    const trail = await must(server.api('GET', `/organizations/${organization.id}/audit-events?target=${id}`))
    expect(trail.items.map((event: { action: string }) => event.action)).toEqual(
      expect.arrayContaining(['administrator.openid_linked', 'administrator.signed_in']),
    )
  })

  test('from then on by issuer and subject, whatever the address has become', async () => {
    const { id, email, subject } = await invitePerson()
    expect((await signInAs(subject)).answer.status).toBe(200)
    provider.people.set(subject, { email: 'married@acme.example', email_verified: true })
    const { browser } = await signInAs(subject)
    expect((await must(browser.call('GET', '/session'))).account).toMatchObject({ id, email })
    // Who is given the old address later is not that administrator.
    provider.people.set('successor', { email, email_verified: true })
    expectProblem((await signInAs('successor')).answer, 403, 'openid_identity_refused')
  })
})

describe('nobody is signed in', () => {
  test.each<[string, Record<string, unknown>]>([
    ['whose address nobody has', { email: 'stranger@acme.example', email_verified: true }],
    ['whose address is not verified', { email_verified: false }],
    ['whose address is of another domain', { email: 'x@elsewhere.example', email_verified: true }],
    ['whose address is of a subdomain', { email: 'x@sub.acme.example', email_verified: true }],
    ['of whom the provider tells no address', { email: undefined }],
  ])('%s', async (_what, claims) => {
    const { subject, email } = await invitePerson()
    provider.people.set(subject, { email, email_verified: true, ...claims })
    const { browser, answer } = await signInAs(subject)
    expectProblem(answer, 403, 'openid_identity_refused')
    expect(browser.cookies.has(SESSION_COOKIE)).toBe(false)
    const { items } = await must(server.api('GET', administrators))
    expect(items).toHaveLength(1)
    expect(items[0].status).toBe('invited')
  })

  test('whose address only becomes somebody’s when it is written otherwise', async () => {
    const email = `kelvin-${++count}@acme.example`
    await must(server.api('POST', administrators, { name: 'Kelvin', email }))
    // The sign of the unit, whose lower case is the letter.
    provider.people.set('unit', { email: email.replace('k', '\u212a'), email_verified: true })
    expectProblem((await signInAs('unit')).answer, 403, 'openid_identity_refused')
    provider.people.set('person', { email: email.toUpperCase(), email_verified: true })
    expect((await signInAs('person')).answer.status).toBe(200)
  })

  test('who is an administrator of another organization alone', async () => {
    const { subject } = await invitePerson()
    const other = await createOrganization(server)
    await setProvider(other.id)
    const browser = createBrowser(server)
    const url = await provider.logIn(await begin(browser, other.slug), subject)
    expectProblem(await comeBack(browser, url), 403, 'openid_identity_refused')
  })

  test('who is disabled, and their sessions are over', async () => {
    const { id, subject } = await invitePerson()
    const { browser } = await signInAs(subject)
    await must(server.api('PATCH', `${administrators}/${id}`, { status: 'disabled' }))
    expectProblem(await browser.call('GET', '/session'), 401, 'session_missing')
    expectProblem((await signInAs(subject)).answer, 403, 'openid_identity_refused')
  })

  test('who turns back at the provider', async () => {
    const browser = createBrowser(server)
    const url = await provider.cancel(await begin(browser))
    expectProblem(await comeBack(browser, url), 401, 'openid_failed')
  })
})

/**
 * A provider of somebody who is after other organizations: sends whoever is to log in with it on to theirs, and keeps
 * the codes that are meant for that one (RFC 9700 §4.4, mix-up).
 */
async function startMixingProvider() {
  const codes: string[] = []
  const http = createServer(async (req, res) => {
    res.setHeader('content-type', 'application/json')
    if (req.url?.endsWith('/openid-configuration')) {
      const endpoints = { authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` }
      res.end(JSON.stringify({ issuer, ...endpoints, jwks_uri: `${issuer}/jwks` }))
      return
    }
    const code = new URLSearchParams(await text(req)).get('code')
    if (code !== null) codes.push(code)
    res.writeHead(400).end('{"error":"invalid_grant"}')
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  return {
    issuer,
    codes,
    close() {
      http.closeAllConnections()
      http.close()
    },
  }
}

test('a code for one organization never goes to the provider of another, which would sign in with it', async () => {
  const { subject } = await invitePerson()
  const mixing = await startMixingProvider()
  const own = await createOrganization(server)
  await setProvider(own.id, { issuer: mixing.issuer })
  const attacker = createBrowser(server)
  const mixed = new URL(await begin(attacker))
  const victim = createBrowser(server)
  const state = new URL(await begin(victim, own.slug)).searchParams.get('state')!
  mixed.searchParams.set('state', state)
  const back = await provider.logIn(mixed.href, subject)
  // As from a provider that does not name itself (RFC 9207).
  back.searchParams.delete('iss')
  expectProblem(await comeBack(victim, back), 400, 'openid_request_unknown')
  expect(mixing.codes).toEqual([])
  mixing.close()
})

describe('what comes back counts only', () => {
  test('in the browser that began', async () => {
    const { subject } = await invitePerson()
    const victim = createBrowser(server)
    const url = await provider.logIn(await begin(createBrowser(server)), subject)
    expectProblem(await comeBack(victim, url), 400, 'openid_request_unknown')
    await begin(victim)
    expectProblem(await comeBack(victim, url), 400, 'openid_request_unknown')
    expect(victim.cookies.has(SESSION_COOKIE)).toBe(false)
  })

  test('once', async () => {
    const { subject } = await invitePerson()
    const browser = createBrowser(server)
    const url = await provider.logIn(await begin(browser), subject)
    const cookie = browser.cookies.get(OPENID_COOKIE)!
    expect((await comeBack(browser, url)).status).toBe(200)
    const replay = createBrowser(server)
    replay.cookies.set(OPENID_COOKIE, cookie)
    expectProblem(await comeBack(replay, url), 401, 'openid_failed')
  })

  test('within ten minutes, and unchanged', async () => {
    const { subject } = await invitePerson()
    const browser = createBrowser(server)
    const url = await provider.logIn(await begin(browser), subject)
    const cookie = browser.cookies.get(OPENID_COOKIE)!
    const changed = new URL(url)
    changed.searchParams.set('code', 'of-somebody-else')
    expectProblem(await comeBack(browser, changed), 401, 'openid_failed')
    browser.cookies.set(OPENID_COOKIE, (cookie.startsWith('A') ? 'B' : 'A') + cookie.slice(1))
    expectProblem(await comeBack(browser, url), 400, 'openid_request_unknown')
    browser.cookies.set(OPENID_COOKIE, cookie)
    server.clock.advance(601)
    expectProblem(await comeBack(browser, url), 400, 'openid_request_unknown')
  })

  test('for the provider that is set now', async () => {
    const { subject } = await invitePerson()
    const browser = createBrowser(server)
    const url = await provider.logIn(await begin(browser), subject)
    await must(server.api('DELETE', `/organizations/${organization.id}/identity-provider`))
    expectProblem(await comeBack(browser, url), 400, 'openid_request_unknown')
  })

  test.each<[string, () => Promise<unknown>]>([
    ['removed', () => must(server.api('DELETE', `/organizations/${organization.id}/identity-provider`))],
    ['given other domains', () => setProvider(organization.id, { email_domains: ['other.example'] })],
  ])('for a provider that is not %s while it is asked', async (_what, change) => {
    const { id, subject } = await invitePerson()
    const browser = createBrowser(server)
    const url = await provider.logIn(await begin(browser), subject)
    provider.beforeExchange(change)
    expectProblem(await comeBack(browser, url), 400, 'openid_request_unknown')
    expect(browser.cookies.has(SESSION_COOKIE)).toBe(false)
    expect((await must(server.api('GET', `${administrators}/${id}`))).status).toBe('invited')
  })
})

test('an organization that does not exist and one without a provider are answered alike', async () => {
  const { slug } = await createOrganization(server)
  for (const each of [slug, 'no-such-organization']) {
    const answer = await createBrowser(server).call('POST', '/openid', { organization: each })
    expectProblem(answer, 404, 'openid_not_set')
  }
})

test('a provider that cannot be reached is told as such', async () => {
  await setProvider(organization.id, { issuer: 'http://127.0.0.1:9' })
  const answer = await createBrowser(server).call('POST', '/openid', { organization: organization.slug })
  expectProblem(answer, 502, 'openid_unavailable')
})

test.each(['plain', 'gzip'])('a provider whose answer does not end takes no memory (%s)', async (coding) => {
  let octets = 0
  const endless = createServer((_req, res) => {
    res.writeHead(200, {
      'content-type': 'application/json',
      ...(coding === 'gzip' && { 'content-encoding': 'gzip' }),
    })
    const body = Readable.from(
      (function* () {
        yield '{"issuer": "'
        for (octets = 0; octets < 200_000_000; octets += 65_536) yield 'x'.repeat(65_536)
      })(),
    )
    const sent = coding === 'gzip' ? pipeline(body, createGzip(), res) : pipeline(body, res)
    sent.catch(() => undefined)
  })
  await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve))
  const { port } = endless.address() as AddressInfo
  await setProvider(organization.id, { issuer: `http://127.0.0.1:${port}` })
  const answer = await createBrowser(server).call('POST', '/openid', { organization: organization.slug })
  expectProblem(answer, 502, 'openid_unavailable')
  endless.closeAllConnections()
  endless.close()
  expect(octets).toBeGreaterThan(1_000_000)
  // Some megabytes may be on their way.
  expect(octets).toBeLessThan(50_000_000)
})

test('the request uses PKCE, state and nonce, and its cookie is for the way back alone', async () => {
  const answer = await createBrowser(server).call('POST', '/openid', { organization: organization.slug })
  const { searchParams } = new URL(answer.body.authorization_url)
  expect(Object.fromEntries(searchParams)).toMatchObject({
    response_type: 'code',
    code_challenge_method: 'S256',
    scope: 'openid email',
  })
  for (const name of ['state', 'nonce', 'code_challenge'])
    expect(searchParams.get(name)).toMatch(/^[\w-]{43}$/)
  const cookie = answer.headers.get('set-cookie')
  expect(cookie).toMatch(
    /^countersign-openid=[\w-]+; Max-Age=600; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/,
  )
  expect(cookie).not.toContain(searchParams.get('nonce'))
})

test('one address has a provider asked so often and no more, whatever it comes back with', async () => {
  const patient = await startTestServer({
    connection: server.connection,
    clock: server.clock,
    issuer: server.issuer,
    trustedProxies: ['127.0.0.1'],
  })
  const browser = createBrowser(patient, { ip: '198.51.100.7' })
  const state = new URL(await begin(browser)).searchParams.get('state')
  const cookie = `${OPENID_COOKIE}=${browser.cookies.get(OPENID_COOKIE)}`
  const comeBackWith = (code: string) =>
    browser.call(
      'GET',
      `/openid/callback/${organization.id}?state=${state}&error=access_denied&error_description=${code}`,
      undefined,
      {
        cookie,
      },
    )
  const statuses = new Map<number, number>()
  for (let round = 0; round < 30; round++) {
    for (const { status } of await Promise.all(Array.from({ length: 20 }, () => comeBackWith('x'))))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  await patient.close()
  expect(Object.fromEntries(statuses)).toEqual({ 401: 599, 429: 1 })
})

test('codes and client secrets stand in no log', async () => {
  const { subject } = await invitePerson()
  const browser = createBrowser(server)
  const url = await provider.logIn(await begin(browser), subject)
  await comeBack(browser, url)
  const log = JSON.stringify(server.logs())
  for (const secret of [url.searchParams.get('code')!, provider.clientSecret])
    expect(log).not.toContain(secret)
})
