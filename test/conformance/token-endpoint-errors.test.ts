import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { createKeyPair, encode } from '../support/jwt.ts'
import { sendRaw } from '../support/raw-request.ts'
import {
  type Answer,
  type Fixture,
  must,
  signByHand,
  startTestServer,
  type TestServer,
} from '../support/server.ts'
import { expectNothingIssued, expectRefusal, expectRefusalFor, findLogLine } from './support.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** What must not come back: every character that an error description may not have, and a word to look for. */
const HOSTILE = 'canary"\\\r\n\t\u0007é\u2028\u{1f600}<script>'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

/** One request for each error code that the token endpoint has. */
const ERRORS: [error: string, reason: string, send: () => Promise<Answer>][] = [
  ['invalid_request', 'parameter_missing', () => server.post('/oauth/token', { grant_type: JWT_BEARER })],
  ['invalid_client', 'credentials_invalid', () => ask({ client_secret: HOSTILE })],
  ['invalid_grant', 'assertion_malformed', () => ask({ assertion: HOSTILE })],
  ['unsupported_grant_type', 'grant_type_unsupported', () => ask({ grant_type: HOSTILE })],
  ['invalid_scope', 'scope_malformed', () => ask({ scope: HOSTILE })],
  ['invalid_target', 'target_malformed', () => ask({ resource: HOSTILE })],
]

test.each(ERRORS)('[6749-5.2-1] %s is answered with 400', async (error, reason, send) => {
  const answer = await expectNothingIssued(server, send)
  await expectRefusalFor(server, answer, { status: 400, error, reason })
})

test.each([
  ['Basic', 'credentials_invalid', `Basic ${btoa('acc_x:wrong')}`],
  ['Basic with broken credentials', 'credentials_malformed', 'Basic %%%'],
  ['Bearer', 'credentials_invalid', 'Bearer canary'],
  ['an unknown scheme', 'credentials_malformed', 'Negotiate canary'],
])(
  '[6749-5.2-2] failed credentials as %s get 401 and a Basic challenge',
  async (_name, reason, authorization) => {
    const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion() }
    const answer = await expectNothingIssued(server, () =>
      server.post('/oauth/token', form, { authorization }),
    )
    await expectRefusalFor(server, answer, {
      status: 401,
      error: 'invalid_client',
      reason,
    })
    expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm="[\x20\x21\x23-\x5b\x5d-\x7e]+"/)
    expect(answer.text).not.toContain('canary')
  },
)

/** Each fault of an assertion that has a text of its own, with hostile characters wherever input can be. */
const FAULTY: [fault: string, reason: string, assertion: () => Promise<string>][] = [
  ['not a JWT', 'assertion_malformed', async () => HOSTILE],
  ['a header that is not JSON', 'assertion_malformed', async () => byHand(HOSTILE, '{}')],
  ['claims that are not JSON', 'assertion_malformed', async () => byHand('{"alg":"RS256"}', HOSTILE)],
  ['a hostile alg', 'algorithm_mismatch', async () => byHand(header({ alg: HOSTILE }), claims())],
  ['a hostile kid', 'assertion_malformed', async () => byHand(header({ kid: HOSTILE }), claims())],
  ['a hostile typ', 'assertion_type_unexpected', async () => byHand(header({ typ: HOSTILE }), claims())],
  ['a hostile crit', 'assertion_malformed', async () => byHand(header({ crit: [HOSTILE] }), claims())],
  [
    'a hostile header member',
    'signature_invalid',
    async () => `${await unsigned({ [HOSTILE]: HOSTILE })}AAAA`,
  ],
  ['a hostile iss', 'claim_malformed', () => fixture.assertion({ iss: HOSTILE })],
  ['an unknown iss', 'issuer_unknown', () => fixture.assertion({ iss: 'canary"é' })],
  ['an unknown kid', 'key_unknown', () => fixture.assertion({}, { kid: 'canary"é' })],
  ['a sub that is a number', 'claim_malformed', () => fixture.assertion({ sub: 1 })],
  ['another sub', 'subject_not_allowed', () => fixture.assertion({ sub: HOSTILE })],
  ['another aud', 'audience_mismatch', () => fixture.assertion({ aud: HOSTILE })],
  ['two aud', 'audience_mismatch', () => fixture.assertion({ aud: [server.issuer, HOSTILE] })],
  ['no exp', 'claim_malformed', () => fixture.assertion({ exp: undefined })],
  ['an exp that is text', 'claim_malformed', () => fixture.assertion({ exp: HOSTILE })],
  ['a past exp', 'assertion_expired', () => fixture.assertion({ exp: seconds() - 300 })],
  ['an nbf that is text', 'claim_malformed', () => fixture.assertion({ nbf: HOSTILE })],
  ['a future nbf', 'assertion_not_yet_valid', () => fixture.assertion({ nbf: seconds() + 300 })],
  ['a future iat', 'assertion_not_yet_valid', () => fixture.assertion({ iat: seconds() + 300 })],
  ['a long life', 'assertion_lifetime_too_long', () => fixture.assertion({ exp: seconds() + 86_400 })],
  ['a hostile jti', 'claim_malformed', () => fixture.assertion({ jti: HOSTILE })],
  ['too many characters', 'assertion_too_large', () => fixture.assertion({ canary: 'x'.repeat(20_000) })],
]

test.each(FAULTY)(
  '[6749-5.2-4][6749-5.2-3][7521-4.1.1] %s is invalid_grant in a safe text',
  async (_fault, reason, make) => {
    const assertion = await make()
    const answer = await expectNothingIssued(server, () => fixture.requestToken({ assertion }))
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason })
    expect(answer.text).not.toContain('canary')
  },
)

test('[6749-5.2-4] a replayed jti and a foreign client_id are told safely too', async () => {
  const assertion = await fixture.assertion({ jti: 'canary"é' })
  const foreign = await fixture.requestToken({ assertion, form: { client_id: HOSTILE } })
  await expectRefusalFor(server, foreign, { error: 'invalid_grant', reason: 'client_mismatch' })
  expect((await fixture.requestToken({ assertion })).status).toBe(200)
  const replayed = await fixture.requestToken({ assertion })
  await expectRefusalFor(server, replayed, { error: 'invalid_grant', reason: 'assertion_replayed' })
  for (const answer of [foreign, replayed]) expect(answer.text).not.toContain('canary')
})

test.each([
  '/oauth',
  '/oauth/',
  '/oauth/authorize',
  '/oauth/token/x',
  '/oauth/TOKEN',
  '/oauth/%zz',
  '/oauth/..%2f..%2fetc',
])('[6749-5.2-5] there is nothing at %s, said in JSON', async (path) => {
  for (const method of ['GET', 'POST']) {
    expectRefusal(await sendRaw(server, { method, path }), 404, 'invalid_request')
  }
})

test.each(['/', '/nothing', '/%zz', '/authorize'])(
  '[6749-5.2-5] %s outside the endpoints is answered in JSON, uncacheable',
  async (path) => {
    const answer = await sendRaw(server, { method: 'POST', path })
    expectRefusal(answer, 404, 'not_found')
  },
)

test('[6749-5.2-5] a bug of ours is answered with 500 in JSON; the log alone has what happened', async () => {
  const broken = await startTestServer()
  try {
    const account = await broken.createFixture()
    await sql`alter table grant_records rename to grant_records_canary`.execute(broken.connection.db)
    const answer = await account.requestToken()
    expectRefusal(answer, 500, 'server_error')
    expect(answer.text).not.toMatch(/grant_records|canary|relation|at /)
    const id = answer.headers.get('x-request-id')
    expect(broken.logs().find((line) => line.requestId === id && line.err !== undefined)).toMatchObject({
      level: 'error',
      err: { message: expect.stringContaining('grant_records') },
    })
    await sql`alter table grant_records_canary rename to grant_records`.execute(broken.connection.db)
    expect((await account.requestToken()).status).toBe(200)
  } finally {
    await broken.close()
  }
})

test('[6749-5.2-7] whoever has no key cannot tell unknown, disabled and expired apart; the log can', async () => {
  const stranger = await createKeyPair()
  const disabledAccount = await server.createFixture()
  await must(server.api('PATCH', disabledAccount.accountPath, { status: 'disabled' }))
  const disabledKey = await server.createFixture()
  await must(
    server.api('PATCH', `${disabledKey.accountPath}/keys/${disabledKey.keyId}`, { status: 'disabled' }),
  )
  const deletedKey = await server.createFixture()
  await must(server.api('DELETE', `${deletedKey.accountPath}/keys/${deletedKey.keyId}`))
  const expiredKey = await server.createFixture()
  await server.connection.pool.query('update keys set expires_at = $1 where id = $2', [
    new Date(server.clock.now() - 1000),
    expiredKey.keyId,
  ])

  const cases: [reason: string, assertion: string][] = [
    ['issuer_unknown', await fixture.assertion({ iss: 'acc_nobody', sub: 'acc_nobody' })],
    ['key_unknown', await fixture.assertion({}, { kid: 'key_nobody' })],
    ['signature_invalid', byHand(header({}), claims(), stranger.privateKeyPem)],
    ['algorithm_mismatch', byHand(header({ alg: 'ES256' }), claims(), stranger.privateKeyPem)],
    ['account_inactive', await disabledAccount.assertion()],
    ['key_disabled', await disabledKey.assertion()],
    ['key_revoked', await deletedKey.assertion()],
    ['key_expired', await expiredKey.assertion()],
  ]
  const heard = new Set<string>()
  for (const [reason, assertion] of cases) {
    const answer = await expectNothingIssued(server, () => fixture.requestToken({ assertion }))
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason })
    heard.add(answer.text + describeHeaders(answer))
  }
  expect(heard.size).toBe(1)
})

test('[6749-A.1] a client_id beyond printable ASCII is refused, and no account has one', async () => {
  expect(fixture.accountId).toMatch(/^[\x20-\x7e]+$/)
  for (const clientId of ['é', 'acc_\u{1f600}', `${fixture.accountId}\u007f`, ` ${fixture.accountId}`]) {
    const answer = await expectNothingIssued(server, () =>
      fixture.requestToken({ form: { client_id: clientId } }),
    )
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'client_mismatch' })
    expect((await findLogLine(server, answer)).detail).toMatchObject({ received: clientId })
  }
  const path = `/organizations/${fixture.organizationId}/service-accounts`
  for (const body of [
    { name: 'A', id: 'acc_é' },
    { name: 'A', slug: 'é' },
    { name: 'A', email: 'é@example.test' },
  ]) {
    expect((await server.api('POST', path, body)).status).toBe(422)
  }
})

function seconds(): number {
  return Math.floor(server.clock.now() / 1000)
}

async function ask(form: Record<string, string>): Promise<Answer> {
  return fixture.requestToken({ form })
}

function header(changes: Record<string, unknown>): string {
  return JSON.stringify({ alg: 'RS256', kid: fixture.keyId, ...changes })
}

function claims(): string {
  return JSON.stringify(fixture.claims())
}

function byHand(headerText: string, payload: string, privateKeyPem?: string): string {
  return signByHand(headerText, payload, privateKeyPem ?? fixture.keyPair.privateKeyPem)
}

async function unsigned(changes: Record<string, unknown>): Promise<string> {
  return `${encode(header(changes))}.${encode(fixture.claims())}.`
}

/** All headers but those that differ between any two answers. */
function describeHeaders(answer: Answer): string {
  const names = [...answer.headers].filter(([name]) => name !== 'x-request-id' && name !== 'date')
  return JSON.stringify(names)
}
