import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { startTestServer, type TestServer } from '../support/server.ts'
import { codeFor, createAdministrator, enrol, SESSION_COOKIE, signIn } from '../support/sign-in.ts'
import { type Known, operationsBelow } from './contract.ts'
import { fuzz } from './inputs.ts'
import { expectSound, type Names, requestsFor, sendMade } from './requests.ts'

const OPERATIONS = operationsBelow('/sign-in')
/** Passwords change, sessions end: then most of what is fuzzed would be refused for that alone. */
const MAX_CHANGES = 10

let server: TestServer
let bed: Names & { secret: string }
let changes = 0
beforeAll(async () => {
  // Guesses are counted by address: each input comes from one of its own.
  server = await startTestServer({ keepsLogs: false, trustedProxies: ['127.0.0.1'] })
  bed = await createBed()
})
afterAll(() => server.close())

const KNOWN: Known = {
  Email: fc.constant('«email»'),
  PasswordText: fc.constantFrom('«password»', '«password»', 'another long pass phrase, 20 words of it'),
  InvitationText: fc.constant('«invitation»'),
  CodeText: fc.constantFrom('«code»', '000000'),
}
const origin = { origin: '«origin»' }
const cookie = { cookie: `${SESSION_COOKIE}=«session»` }
const credentials = fc
  .tuple(fc.ipV4(), fc.constantFrom({ ...origin, ...cookie }, { ...origin, ...cookie }, origin, cookie))
  .map(([ip, header]) => ({ header: { 'x-forwarded-for': ip, ...header }, isGood: true }))

describe('whatever is sent to the sign-in, the answer is one that openapi.yaml describes', () => {
  test.each(OPERATIONS)('$name', (operation) =>
    fuzz(
      'sign-in',
      requestsFor(operation, { known: KNOWN, credentials }),
      async (made) => {
        if (changes > MAX_CHANGES) bed = await createBed()
        const answer = await sendMade(server, made, { ...bed, code: codeFor(server, bed.secret) })
        expectSound(answer, made, operation)
        if (answer.status < 300) changes++
        if (made.headers.origin === undefined && made.method !== 'GET' && made.method !== 'HEAD')
          expect(answer.status).toBeGreaterThanOrEqual(400)
      },
      { parts: OPERATIONS.length },
    ),
  )
})

test('after all of this an administrator signs in as before', async () => {
  const administrator = await createAdministrator(server, bed.org ?? '')
  const browser = await signIn(server, administrator)
  expect((await browser.call('GET', '/session')).status).toBe(200)
})

/** An administrator who is signed in, has a second factor, and was invited a second time. */
async function createBed(): Promise<Names & { secret: string }> {
  changes = 0
  const { organizationId } = await server.createFixture({ algorithm: 'ES256' })
  const administrator = await createAdministrator(server, organizationId)
  const browser = await signIn(server, administrator)
  const { secret } = await enrol(server, browser, administrator.password)
  return {
    org: organizationId,
    origin: new URL(server.issuer).origin,
    email: administrator.email,
    password: administrator.password,
    invitation: administrator.invitation,
    session: browser.cookies.get(SESSION_COOKIE) ?? '',
    secret,
  }
}
