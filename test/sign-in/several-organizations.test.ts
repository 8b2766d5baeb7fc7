import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createOrganization, expectProblem } from '../support/management.ts'
import { type Answer, must, startTestServer, type TestServer } from '../support/server.ts'
import { codeFor, createBrowser, enrol, secretOf } from '../support/sign-in.ts'

// One person may be an administrator of several organizations, and none of these learns of the others.
const EMAIL = 'grace@people.example'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ trustedProxies: ['127.0.0.1'] })
})
afterAll(() => server.close())

/** A membership that was accepted, unless `password` is left out. */
async function join(email: string, password?: string) {
  const { id, slug } = await createOrganization(server)
  const path = `/organizations/${id}/administrators`
  const answer = await server.api('POST', path, { name: 'Grace', email })
  const { id: accountId, invitation_url } = await must(Promise.resolve(answer))
  const invitation = secretOf(invitation_url)
  if (password !== undefined)
    await must(createBrowser(server).call('POST', '/invitation/accept', { invitation, password }))
  return { id, slug, answer, invitation, path: `${path}/${accountId}` }
}

const signIn = (
  body: { email: string; password: string; organization?: string },
  browser = createBrowser(server),
) => browser.call('POST', '/password', body)

describe('an address that another organization has', () => {
  test('is invited like one that nobody has (promise 9)', async () => {
    const [first, second] = [await join('one@people.example'), await join('one@people.example')]
    expect([first.answer.status, second.answer.status]).toEqual([201, 201])
    const membersOf = ({ answer }: { answer: Answer }) => Object.keys(answer.body)
    expect(membersOf(second)).toEqual(membersOf(first))
    const again = await server.api('POST', `/organizations/${first.id}/administrators`, {
      name: 'Grace',
      email: 'one@people.example',
    })
    expectProblem(again, 409, 'email_taken')
  })

  test('still signs in to the first one while the invitation to the second is open', async () => {
    const first = await join('two@people.example', 'the first pass phrase')
    await join('two@people.example')
    const browser = createBrowser(server)
    const body = { email: 'two@people.example', password: 'the first pass phrase' }
    expect((await signIn(body, browser)).status).toBe(200)
    expect((await must(browser.call('GET', '/session'))).organization.slug).toBe(first.slug)
  })

  test('issues no assertion, and does not disturb those of others', async () => {
    const fixture = await server.createFixture()
    await join('three@people.example', 'the first pass phrase')
    await join('three@people.example', 'another pass phrase')
    const claims = { iss: 'three@people.example', sub: 'three@people.example' }
    const [refused, answered] = await Promise.all([
      fixture.requestToken({ assertion: await fixture.assertion(claims) }),
      fixture.requestToken({
        assertion: await fixture.assertion({ iss: fixture.accountEmail, sub: fixture.accountEmail }),
      }),
    ])
    expect([refused.status, refused.body.error]).toEqual([400, 'invalid_grant'])
    expect(answered.status).toBe(200)
  })
})

describe('a person of two organizations', () => {
  let acme: Awaited<ReturnType<typeof join>>
  let other: Awaited<ReturnType<typeof join>>
  beforeAll(async () => {
    acme = await join(EMAIL, 'the pass phrase for acme')
    other = await join(EMAIL, 'the pass phrase for the other')
  })

  test('is told by the invitation where it leads', async () => {
    const { invitation, slug } = await join(EMAIL)
    const browser = createBrowser(server)
    const found = await must(browser.call('POST', '/invitation', { invitation }))
    expect(found).toMatchObject({ email: EMAIL, organization: { slug } })
    const body = { invitation, password: 'the pass phrase for a third' }
    const accepted = await must(browser.call('POST', '/invitation/accept', body))
    expect(accepted).toMatchObject({ email: EMAIL, organization: { slug } })
  })

  test('signs in to the one that they name, with the password of that one', async () => {
    for (const [{ slug }, password] of [
      [acme, 'the pass phrase for acme'],
      [other, 'the pass phrase for the other'],
    ] as const) {
      const browser = createBrowser(server)
      expect(
        (await signIn({ email: EMAIL, password, organization: slug.toUpperCase() }, browser)).status,
      ).toBe(200)
      expect((await must(browser.call('GET', '/session'))).organization.slug).toBe(slug)
    }
  })

  test('is answered like somebody unknown when they name none, the wrong one or one that is not there', async () => {
    const password = 'the pass phrase for acme'
    const answers = [
      await signIn({ email: 'nobody@people.example', password }),
      await signIn({ email: EMAIL, password }),
      await signIn({ email: EMAIL, password, organization: other.slug }),
      await signIn({ email: EMAIL, password, organization: 'not-there' }),
    ]
    for (const answer of answers) expectProblem(answer, 401, 'sign_in_refused')
    expect(new Set(answers.map(comparable)).size).toBe(1)
    const reasons = answers.map(
      (answer) => server.logs().find((line) => line.requestId === answer.headers.get('x-request-id'))?.reason,
    )
    expect(reasons).toEqual(['email_unknown', 'organization_ambiguous', 'password_wrong', 'email_unknown'])
    expect(answers[0]?.body.detail).toContain('name your organization')
  })

  test('need not name it any more once the other one is over', async () => {
    await must(server.api('PATCH', other.path, { status: 'disabled' }))
    const third = await join('leaver@people.example', 'the first pass phrase')
    const fourth = await join('leaver@people.example', 'another pass phrase')
    expect((await server.api('DELETE', `/organizations/${fourth.id}?confirm=${fourth.slug}`)).status).toBe(
      204,
    )
    const browser = createBrowser(server)
    const body = { email: 'leaver@people.example', password: 'the first pass phrase' }
    expect((await signIn(body, browser)).status).toBe(200)
    expect((await must(browser.call('GET', '/session'))).organization.slug).toBe(third.slug)
  })

  test('is not kept out by wrong codes of somebody who has the same address elsewhere', async () => {
    const email = 'codes@people.example'
    const mine = await join(email, 'the first pass phrase')
    const theirs = await join(email, 'another pass phrase')
    const enrolled = new Map<string, string>()
    for (const [{ slug }, password] of [
      [mine, 'the first pass phrase'],
      [theirs, 'another pass phrase'],
    ] as const) {
      const browser = createBrowser(server)
      await must(signIn({ email, password, organization: slug }, browser))
      enrolled.set(slug, (await enrol(server, browser, password)).secret)
    }
    // Codes are counted from networks that the account has never signed in from.
    const guesses: number[] = []
    for (const ip of ['203.0.113.7', '203.0.113.8']) {
      const stranger = createBrowser(server, { ip })
      await must(signIn({ email, password: 'another pass phrase', organization: theirs.slug }, stranger))
      for (let guess = 0; guess < 6; guess++)
        guesses.push((await stranger.call('POST', '/second-factor', { code: '000000' })).status)
    }
    expect(guesses.filter((status) => status === 401)).toHaveLength(10)
    const browser = createBrowser(server, { ip: '198.51.100.4' })
    server.clock.advance(60)
    await must(signIn({ email, password: 'the first pass phrase', organization: mine.slug }, browser))
    const code = codeFor(server, enrolled.get(mine.slug) ?? '')
    expect((await browser.call('POST', '/second-factor', { code })).status).toBe(200)
  })
})

/** Everything but what names this one request. */
function comparable(answer: Answer): string {
  const { 'x-request-id': requestId = '', date: _date, ...headers } = Object.fromEntries(answer.headers)
  return JSON.stringify({ headers, text: answer.text.replaceAll(requestId, 'ID') })
}
