import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createOrganization, expectProblem } from '../support/management.ts'
import { type Answer, must, startTestServer, type TestServer } from '../support/server.ts'
import {
  createAdministrator,
  createBrowser,
  SESSION_COOKIE,
  signIn,
  type TestAdministrator,
} from '../support/sign-in.ts'
import { until } from '../support/until.ts'

let server: TestServer
let organizationId: string
let ada: TestAdministrator
beforeAll(async () => {
  server = await startTestServer()
  organizationId = (await createOrganization(server)).id
  ada = await createAdministrator(server, organizationId)
})
afterAll(() => server.close())

const tryToSignIn = (email: string, password: string) =>
  createBrowser(server).call('POST', '/password', { email, password })

describe('an administrator', () => {
  test('signs in, is known by the cookie alone, and signs out', async () => {
    const browser = await signIn(server, ada)
    const { account, organization, permissions, session } = await must(browser.call('GET', '/session'))
    expect(account).toEqual({
      id: ada.id,
      kind: 'administrator',
      name: ada.name,
      email: ada.email,
      has_password: true,
      has_second_factor: false,
      recovery_codes_left: 0,
    })
    expect(organization.id).toBe(organizationId)
    expect(permissions).toEqual([])
    expect(session.method).toBe('password')
    const kept = browser.cookies.get(SESSION_COOKIE)!
    expect((await browser.call('DELETE', '/session')).status).toBe(204)
    expect(browser.cookies.has(SESSION_COOKIE)).toBe(false)
    browser.cookies.set(SESSION_COOKIE, kept)
    expectProblem(await browser.call('GET', '/session'), 401, 'session_missing')
    expect((await browser.call('DELETE', '/session')).status).toBe(204)
  })

  test('may write the address in capitals', async () => {
    expect((await tryToSignIn(ada.email.toUpperCase(), ada.password)).status).toBe(200)
  })

  test('gets a new session each time, in a cookie that scripts cannot read and other sites cannot send', async () => {
    const browser = createBrowser(server)
    const answer = await browser.call('POST', '/password', ada)
    expect(answer.status).toBe(422)
    const [first, second] = await Promise.all([
      tryToSignIn(ada.email, ada.password),
      tryToSignIn(ada.email, ada.password),
    ])
    const cookie = first.headers.get('set-cookie')
    expect(cookie).toMatch(/^countersign-session=cse_[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/)
    expect(second.headers.get('set-cookie')).not.toBe(cookie)
    expect(first.headers.get('cache-control')).toBe('no-store')
  })

  test('is seen with what they may do at this moment', async () => {
    const eve = await createAdministrator(server, organizationId)
    const browser = await signIn(server, eve)
    const { items } = await must(server.api('GET', `/organizations/${organizationId}/roles`))
    const viewer = items.find((role: { name: string }) => role.name === 'viewer')
    await must(server.api('PATCH', eve.path, { role_ids: [viewer.id] }))
    expect((await must(browser.call('GET', '/session'))).permissions).toContain('roles:read')
    await must(server.api('PATCH', eve.path, { role_ids: [] }))
    expect((await must(browser.call('GET', '/session'))).permissions).toEqual([])
  })
})

describe('whoever guesses is told the same', () => {
  test('for an address that nobody has, a wrong password, a disabled account, one without a password and a service account', async () => {
    const disabled = await createAdministrator(server, organizationId)
    await must(server.api('PATCH', disabled.path, { status: 'disabled' }))
    const invited = await must(
      server.api('POST', `/organizations/${organizationId}/administrators`, {
        name: 'i',
        email: 'i@people.example',
      }),
    )
    const service = await must(
      server.api('POST', `/organizations/${organizationId}/service-accounts`, { name: 'service' }),
    )
    const answers = [
      await tryToSignIn('nobody@people.example', ada.password),
      await tryToSignIn(ada.email, 'not the password'),
      await tryToSignIn(disabled.email, disabled.password),
      await tryToSignIn(invited.email, ada.password),
      await tryToSignIn(service.email, ada.password),
    ]
    for (const answer of answers) expectProblem(answer, 401, 'sign_in_refused')
    expect(new Set(answers.map(comparable)).size).toBe(1)
    const reasons = answers.map((answer) => reasonOf(server, answer))
    expect(reasons).toEqual([
      'email_unknown',
      'password_wrong',
      'account_not_active',
      'account_not_active',
      'account_is_service_account',
    ])
  })

  test('in a disabled organization', async () => {
    const { id } = await createOrganization(server)
    const person = await createAdministrator(server, id)
    await must(server.api('PATCH', `/organizations/${id}`, { status: 'disabled' }))
    expectProblem(await tryToSignIn(person.email, person.password), 401, 'sign_in_refused')
  })

  test('and the work is the same: every attempt verifies one hash', async () => {
    const timeOf = async (email: string) => {
      const startedAt = performance.now()
      await tryToSignIn(email, 'not the password')
      return performance.now() - startedAt
    }
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] }
    const person = await createAdministrator(server, organizationId)
    for (let round = 0; round < 4; round++) {
      times.known.push(await timeOf(person.email))
      times.unknown.push(await timeOf(`nobody-${round}@people.example`))
    }
    // Without the vain work it would be a matter of a few milliseconds against some dozens.
    expect(Math.min(...times.unknown)).toBeGreaterThan(Math.min(...times.known) / 3)
  })
})

describe('the trail of the organization tells', () => {
  test('of a sign-in, and of one that was refused, with its reason', async () => {
    const person = await createAdministrator(server, organizationId)
    await tryToSignIn(person.email, 'not the password')
    await signIn(server, person)
    const [signedIn] = await trail('administrator.signed_in', person.id)
    expect(signedIn).toMatchObject({
      actor: { id: person.id, kind: 'administrator' },
      target: { id: person.id, kind: 'administrator' },
      changes: { after: { method: 'password', second_factor: null } },
      user_agent: 'test browser',
    })
    const refused = await until(async () => (await trail('administrator.sign_in_refused', person.id))[0])
    expect(refused).toMatchObject({
      actor: { id: null, kind: 'unknown' },
      target: { id: person.id, kind: 'administrator' },
      reason: 'password_wrong',
    })
  })

  async function trail(action: string, target: string) {
    const query = `action=${action}&target=${target}`
    return (await must(server.api('GET', `/organizations/${organizationId}/audit-events?${query}`))).items
  }
})

describe('a password', () => {
  test.each([
    ['of eleven characters', 'elevenchars', 'at least 12'],
    ['of more than 256', 'ä'.repeat(257), 'at most 256'],
    ['that is common, in capitals too', '1QAZ2wsx3edc', 'most common'],
  ])('%s cannot be chosen', async (_what, password, why) => {
    const invited = await must(
      server.api('POST', `/organizations/${organizationId}/administrators`, {
        name: 'p',
        email: `p${Math.random()}@people.example`,
      }),
    )
    const invitation = new URL(invited.invitation_url).hash.slice(1)
    const answer = await createBrowser(server).call('POST', '/invitation/accept', { invitation, password })
    expectProblem(answer, 422, 'input_invalid')
    expect(answer.body.errors).toEqual([{ pointer: '/password', detail: expect.stringContaining(why) }])
    const again = { invitation, password: 'something quite else' }
    expect((await createBrowser(server).call('POST', '/invitation/accept', again)).status).toBe(200)
  })

  test('may have any characters, and is the same typed on another keyboard', async () => {
    const person = await createAdministrator(server, organizationId)
    const browser = await signIn(server, person)
    const composed = 'pässwörter sind ☂ lang'
    const change = { password: person.password, new_password: composed.normalize('NFD') }
    expect((await browser.call('POST', '/password/change', change)).status).toBe(204)
    expect((await tryToSignIn(person.email, composed.normalize('NFC'))).status).toBe(200)
    expect((await tryToSignIn(person.email, ` ${composed}`)).status).toBe(401)
  })

  test('is changed only by who knows it, and all other sessions end', async () => {
    const person = await createAdministrator(server, organizationId)
    const [here, there] = [await signIn(server, person), await signIn(server, person)]
    const change = (password: string) =>
      here.call('POST', '/password/change', { password, new_password: 'quite another pass phrase' })
    expectProblem(await change('not the password'), 403, 'password_unconfirmed')
    expect((await there.call('GET', '/session')).status).toBe(200)
    expect((await change(person.password)).status).toBe(204)
    expect((await here.call('GET', '/session')).status).toBe(200)
    expectProblem(await there.call('GET', '/session'), 401, 'session_missing')
    expect((await tryToSignIn(person.email, person.password)).status).toBe(401)
  })
})

/** Everything but what names this one request. */
function comparable(answer: Answer): string {
  const { 'x-request-id': requestId = '', date: _date, ...headers } = Object.fromEntries(answer.headers)
  return JSON.stringify({ headers, text: answer.text.replaceAll(requestId, 'ID') })
}

function reasonOf(from: TestServer, answer: Answer): unknown {
  const requestId = answer.headers.get('x-request-id')
  return from.logs().find((line) => line.requestId === requestId)?.reason
}
