import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createOrganization, expectProblem } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import {
  type Browser,
  codeFor,
  createAdministrator,
  createBrowser,
  enrol,
  SESSION_COOKIE,
  signIn,
  type TestAdministrator,
} from '../support/sign-in.ts'

let server: TestServer
let organizationId: string
let person: TestAdministrator
let browser: Browser
beforeAll(async () => {
  server = await startTestServer()
  organizationId = (await createOrganization(server)).id
})
afterAll(() => server.close())
beforeEach(async () => {
  person = await createAdministrator(server, organizationId)
  browser = await signIn(server, person)
})

/** The next code is another one: an authenticator shows each for 30 seconds. */
const nextStep = () => server.clock.advance(30)

describe('a second factor', () => {
  test('is not asked for until a code has confirmed it', async () => {
    const { secret, key_uri } = await must(browser.call('POST', '/totp', { password: person.password }))
    expect(key_uri).toBe(
      `otpauth://totp/Countersign:${encodeURIComponent(person.email)}?secret=${secret}&issuer=Countersign&algorithm=SHA1&digits=6&period=30`,
    )
    await signIn(server, person).then((other) => must(other.call('GET', '/session')))
    expectProblem(
      await browser.call('POST', '/totp/confirm', { code: '000000' }),
      401,
      'second_factor_refused',
    )
    const { recovery_codes } = await must(
      browser.call('POST', '/totp/confirm', { code: codeFor(server, secret) }),
    )
    expect(new Set(recovery_codes).size).toBe(10)
    expect((await must(browser.call('GET', '/session'))).account).toMatchObject({
      has_second_factor: true,
      recovery_codes_left: 10,
    })
    const pending = createBrowser(server)
    const answer = await pending.call('POST', '/password', credentials())
    expect(answer.body).toEqual({ status: 'second_factor_required' })
  })

  test('is not confirmed by who has found an open session and guesses', async () => {
    const { secret } = await must(browser.call('POST', '/totp', { password: person.password }))
    const good = [-1, 0, 1].map((steps) => codeFor(server, secret, steps))
    const wrong = ['000000', '000001', '000002', '000003'].find((code) => !good.includes(code))
    for (let guesses = 0; guesses < 10; guesses++) {
      const answer = await browser.call('POST', '/totp/confirm', { code: wrong })
      expectProblem(answer, 401, 'second_factor_refused')
    }
    const late = await browser.call('POST', '/totp/confirm', { code: good[1] })
    expectProblem(late, 429, 'too_many_requests')
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(0)
  })

  test('is set up by who knows the password, and ends all other sessions', async () => {
    const other = await signIn(server, person)
    expectProblem(await browser.call('POST', '/totp', { password: 'wrong' }), 403, 'password_unconfirmed')
    await enrol(server, browser, person.password)
    expectProblem(await other.call('GET', '/session'), 401, 'session_missing')
    expect((await browser.call('GET', '/session')).status).toBe(200)
    expectProblem(await browser.call('POST', '/totp', { password: person.password }), 409, 'second_factor_on')
    expectProblem(await browser.call('POST', '/totp/confirm', { code: '123456' }), 409, 'second_factor_on')
  })

  test('lets a session do nothing until its code is given, and the session is a new one then', async () => {
    const { secret } = await enrol(server, browser, person.password)
    nextStep()
    const pending = createBrowser(server)
    await must(pending.call('POST', '/password', credentials()))
    for (const [method, path, body] of [
      ['GET', '/session'],
      ['POST', '/totp', { password: person.password }],
      ['POST', '/password/change', { password: person.password, new_password: 'another pass phrase' }],
      ['POST', '/recovery-codes', { password: person.password }],
    ] as const) {
      expectProblem(await pending.call(method, path, body), 401, 'second_factor_required')
    }
    expectProblem(
      await pending.call('POST', '/second-factor', { code: '000000' }),
      401,
      'second_factor_refused',
    )
    const before = pending.cookies.get(SESSION_COOKIE)!
    await must(pending.call('POST', '/second-factor', { code: codeFor(server, secret) }))
    expect((await pending.call('GET', '/session')).status).toBe(200)
    pending.cookies.set(SESSION_COOKIE, before)
    expectProblem(await pending.call('GET', '/session'), 401, 'session_missing')
  })

  test('takes the code of the step before and after, and no other', async () => {
    const { secret } = await enrol(server, browser, person.password)
    nextStep()
    nextStep()
    for (const [stepsLater, status] of [
      [-2, 401],
      [2, 401],
      [-1, 200],
      [1, 200],
    ] as const) {
      const pending = createBrowser(server)
      await must(pending.call('POST', '/password', credentials()))
      const code = codeFor(server, secret, stepsLater)
      expect((await pending.call('POST', '/second-factor', { code })).status).toBe(status)
    }
  })

  test('takes each code once, also of two that come at once', async () => {
    const { secret, code } = await enrol(server, browser, person.password)
    const replay = createBrowser(server)
    await must(replay.call('POST', '/password', credentials()))
    expectProblem(await replay.call('POST', '/second-factor', { code }), 401, 'second_factor_refused')
    nextStep()
    const [one, other] = [createBrowser(server), createBrowser(server)]
    for (const each of [one, other]) await must(each.call('POST', '/password', credentials()))
    const next = codeFor(server, secret)
    const answers = await Promise.all(
      [one, other].map((each) => each.call('POST', '/second-factor', { code: next })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401])
  })

  test('waits ten minutes for its code', async () => {
    const { secret } = await enrol(server, browser, person.password)
    const pending = createBrowser(server)
    await must(pending.call('POST', '/password', credentials()))
    server.clock.advance(601)
    const answer = await pending.call('POST', '/second-factor', { code: codeFor(server, secret) })
    expectProblem(answer, 401, 'session_missing')
  })

  test('is removed by who has password and code', async () => {
    const { secret } = await enrol(server, browser, person.password)
    nextStep()
    const remove = (password: string, code: string) =>
      browser.call('POST', '/totp/remove', { password, code })
    expectProblem(await remove('wrong', codeFor(server, secret)), 403, 'password_unconfirmed')
    expectProblem(await remove(person.password, '000000'), 401, 'second_factor_refused')
    expect((await remove(person.password, codeFor(server, secret))).status).toBe(204)
    expectProblem(await remove(person.password, '000000'), 409, 'second_factor_off')
    const again = createBrowser(server)
    expect((await must(again.call('POST', '/password', credentials()))).status).toBe('signed_in')
    const codes = await browser.call('POST', '/recovery-codes', { password: person.password })
    expectProblem(codes, 409, 'second_factor_off')
    expectProblem(await browser.call('POST', '/totp/confirm', { code: '123456' }), 409, 'second_factor_off')
  })
})

describe('a recovery code', () => {
  test('stands for the second factor once, however it is typed', async () => {
    const { recoveryCodes } = await enrol(server, browser, person.password)
    const [first = '', second = ''] = recoveryCodes
    for (const [code, status] of [
      [first.toUpperCase().replaceAll('-', ' '), 200],
      [first, 401],
      [second.replaceAll('-', ''), 200],
    ] as const) {
      const pending = createBrowser(server)
      await must(pending.call('POST', '/password', credentials()))
      expect((await pending.call('POST', '/second-factor', { code })).status).toBe(status)
    }
    expect((await must(browser.call('GET', '/session'))).account.recovery_codes_left).toBe(8)
  })

  test('of two sign-ins that come at once lets one in', async () => {
    const { recoveryCodes } = await enrol(server, browser, person.password)
    const both = [createBrowser(server), createBrowser(server)]
    for (const each of both) await must(each.call('POST', '/password', credentials()))
    const answers = await Promise.all(
      both.map((each) => each.call('POST', '/second-factor', { code: recoveryCodes[0] })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401])
  })

  test('of another account, or from before they were replaced, is worth nothing', async () => {
    const { recoveryCodes: old } = await enrol(server, browser, person.password)
    const { recovery_codes: fresh } = await must(
      browser.call('POST', '/recovery-codes', { password: person.password }),
    )
    const other = await createAdministrator(server, organizationId)
    const { recoveryCodes: foreign } = await enrol(server, await signIn(server, other), other.password)
    const pending = createBrowser(server)
    await must(pending.call('POST', '/password', credentials()))
    for (const code of [old[0], foreign[0]]) {
      expectProblem(await pending.call('POST', '/second-factor', { code }), 401, 'second_factor_refused')
    }
    expect((await pending.call('POST', '/second-factor', { code: fresh[0] })).status).toBe(200)
  })
})

function credentials() {
  return { email: person.email, password: person.password }
}
