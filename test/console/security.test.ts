import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { qrCode } from '../../src/console/parts/qr-code.ts'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { createOrganization } from '../support/management.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { codeFor, createAdministrator, signIn, type TestAdministrator } from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let person: Person
let administrator: TestAdministrator
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})
beforeEach(async () => {
  administrator = await createAdministrator(server, (await createOrganization(server)).id)
  person = await createPerson(browser, server)
  await person.signIn(administrator)
})

test('the password is changed by who knows it, and other sessions end', async () => {
  const other = await signIn(server, administrator)
  await person.press('Change password')
  await person.look('change-password')
  await person.fill({ 'Present password': 'not the password', 'New password': 'quite another pass phrase' })
  await person.press('Change password')
  expect(await person.text()).toContain('The password is wrong')
  await person.fill({ 'Present password': administrator.password, 'New password': 'password1234' })
  await person.press('Change password')
  expect(await person.text()).toContain('most common')
  await person.look('change-password-fault')
  await person.fill({
    'Present password': administrator.password,
    'New password': 'quite another pass phrase',
  })
  await person.press('Change password')
  expect(await person.text()).toContain('Your password is changed.')
  expect((await other.call('GET', '/session')).status).toBe(401)
})

test('a second factor is set up, its recovery codes are shown once, and it is removed again', async () => {
  await person.press('Set up second factor')
  await person.fill({ 'Your password': administrator.password })
  await person.press('Go on')
  const secret = (await person.page.locator('.copyable code').innerText()).replaceAll(' ', '')
  const uri = await person.page.locator('a[href^="otpauth:"]').getAttribute('href')
  expect(uri).toContain(`secret=${secret}`)
  const drawn = await person.page.locator('.qr-ink').getAttribute('d')
  expect(qrCode(uri ?? '', '').toString()).toContain(`d="${drawn}"`)
  await person.look('second-factor-secret')
  await person.fill({ Code: '123456' })
  await person.press('Turn on')
  expect(await person.text()).toContain('The code does not hold')
  expect(await person.text()).not.toContain(secret)
  await person.fill({ Code: codeFor(server, secret) })
  await person.press('Turn on')
  const codes = await person.page.locator('.codes code').allInnerTexts()
  expect(codes).toHaveLength(10)
  await person.look('recovery-codes')
  await person.page.reload()
  expect(await person.page.content()).not.toContain(codes[0])
  await person.open('/security')
  await person.look('security-with-second-factor')
  await person.press('New recovery codes')
  await person.look('new-recovery-codes')
  await person.fill({ 'Your password': administrator.password })
  await person.press('Make new codes')
  const [code = ''] = await person.page.locator('.codes code').allInnerTexts()
  expect(codes).not.toContain(code)
  await person.press('I have stored them')
  await person.press('Remove second factor')
  await person.look('remove-second-factor')
  await person.fill({ 'Your password': administrator.password, Code: code })
  await person.press('Remove second factor')
  expect(await person.text()).toContain('Your second factor is removed.')
})

test('sessions are shown and ended, one by one or all others', async () => {
  const others = [
    await signIn(server, administrator, {
      userAgent: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Firefox/140.0',
    }),
    await signIn(server, administrator),
    await signIn(server, administrator),
  ]
  await person.open('/security')
  expect(await person.text()).toContain('Firefox on macOS')
  await person.look('security')
  await person.page.locator('tr', { hasText: 'Firefox' }).getByRole('button', { name: 'End' }).click()
  await person.page.waitForSelector('text=The session has ended.')
  expect((await others[0]!.call('GET', '/session')).status).toBe(401)
  await person.press('End all other sessions')
  expect(await person.text()).toContain('2 other sessions ended.')
  expect((await others[1]!.call('GET', '/session')).status).toBe(401)
  expect(await person.page.locator('tbody tr').count()).toBe(1)
})
