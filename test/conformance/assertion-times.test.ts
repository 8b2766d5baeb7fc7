import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { decode, signCompact } from '../support/jwt.ts'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor } from './support.ts'

const DAY = 86_400
const YEAR = 365 * DAY

let server: TestServer
let fixture: Fixture
/** NumericDate at which the clock of this file stands: boundaries are exact. */
let now: number

beforeAll(async () => {
  const second = Math.floor(Date.now() / 1000)
  server = await startTestServer({ clock: { now: () => second * 1000, advance: () => {} } })
  fixture = await server.createFixture()
  now = second
})
afterAll(() => server.close())

/** Seconds from now, by claim; `undefined` leaves the claim out. */
type Offsets = { exp?: number | undefined; iat?: number | undefined; nbf?: number | undefined }

function toClaims(offsets: Offsets): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(offsets).map(([claim, offset]) => [
      claim,
      offset === undefined ? undefined : now + offset,
    ]),
  )
}

async function accepted(claims: Record<string, unknown>): Promise<void> {
  const answer = await fixture.requestToken({ assertion: await fixture.assertion(claims) })
  expect(answer).toMatchObject({ status: 200, body: { expires_in: 900 } })
}

async function refused(assertion: string | Promise<string>, reason: string): Promise<void> {
  const jwt = await assertion
  const answer = await expectNothingIssued(server, () => fixture.requestToken({ assertion: jwt }))
  await expectRefusalFor(server, answer, { error: 'invalid_grant', reason })
}

/** Claims whose text JSON.stringify would not write. */
function assertionWithText(claim: string, text: string): Promise<string> {
  const claims = JSON.stringify(fixture.claims({ [claim]: '@' })).replace('"@"', text)
  return signCompact({ alg: 'RS256', kid: fixture.keyId }, claims, fixture.keyPair.privateKey)
}

test.each<[string, unknown]>([
  ['absent', undefined],
  ['text', '123'],
  ['text of a good time', String(Math.floor(Date.now() / 1000) + 60)],
  ['null', null],
  ['true', true],
  ['an object', {}],
  ['an array', [1]],
])('[7523-3.4a][7519-2-2] an assertion whose exp is %s is refused', async (_what, exp) => {
  await refused(fixture.assertion({ exp }), 'claim_malformed')
})

test.each([
  ['accepted', 1],
  ['accepted', 0],
  ['accepted', -20],
  ['accepted', -29],
  ['refused', -30],
  ['refused', -31],
  ['refused', -300],
])(
  '[7523-3.4b][7519-4.1.4] with a skew of 30 s, an assertion is %s when its exp is %d s from now',
  async (verdict, exp) => {
    const claims = toClaims({ iat: -600, exp })
    if (verdict === 'accepted') await accepted(claims)
    else await refused(fixture.assertion(claims), 'assertion_expired')
  },
)

test.each<[string, Offsets, string]>([
  ['one second over an hour and the skew', { exp: 3631 }, 'assertion_lifetime_too_long'],
  ['the same without iat', { iat: undefined, exp: 3631 }, 'assertion_lifetime_too_long'],
  ['ten years', { exp: 10 * YEAR }, 'assertion_lifetime_too_long'],
  ['ten years without iat', { iat: undefined, exp: 10 * YEAR }, 'assertion_lifetime_too_long'],
])('[7523-3.4d] an assertion that lives %s is refused', async (_what, offsets, reason) => {
  await refused(fixture.assertion(toClaims(offsets)), reason)
})

test.each(
  ['exp', 'nbf', 'iat'].flatMap((claim) =>
    ['-1', '0', '1e15', '1e308', '1e400', '-1e400', '12345678901234567890', '1700000000000'].map(
      (text) => [claim, text] as const,
    ),
  ),
)('[7519-2-3][7523-3.4d] an assertion with %s %s is refused', async (claim, text) => {
  await refused(assertionWithText(claim, text), 'claim_malformed')
})

test('[7523-3.4e] the life is also measured from iat', async () => {
  await refused(fixture.assertion(toClaims({ iat: -3000, exp: 3500 })), 'assertion_lifetime_too_long')
  await accepted(toClaims({ iat: -3000, exp: 500 }))
})

test('[7523-3.4f] the shape of Google’s clients passes: an hour from an iat of now or ten seconds ago', async () => {
  await accepted(toClaims({ iat: 0, exp: 3600 }))
  await accepted(toClaims({ iat: -10, exp: 3590 }))
  await accepted(toClaims({ iat: -10, exp: 3600 }))
})

test('[7523-3.4d] an account may allow less: its own longest life is kept', async () => {
  const strict = await server.createFixture({
    algorithm: 'ES256',
    assertionPolicy: { max_lifetime_seconds: 60 },
  })
  const send = async (exp: number) =>
    strict.requestToken({ assertion: await strict.assertion(toClaims({ iat: 0, exp })) })
  expect((await send(60)).status).toBe(200)
  await expectRefusalFor(server, await send(91), {
    error: 'invalid_grant',
    reason: 'assertion_lifetime_too_long',
  })
})

test('[7523-3.5] nbf is honoured when present, within the skew', async () => {
  await accepted(toClaims({ nbf: -5 }))
  await accepted(toClaims({ nbf: 8 }))
  await accepted(toClaims({ nbf: 30 }))
  await refused(fixture.assertion(toClaims({ nbf: 31 })), 'assertion_not_yet_valid')
  await refused(fixture.assertion(toClaims({ nbf: 61 })), 'assertion_not_yet_valid')
})

test.each<[string, unknown]>([
  ['text', 'x'],
  ['text of a number', '1'],
  ['null', null],
  ['true', true],
  ['an object', {}],
])('[7523-3.5][7519-2-2] an nbf or iat that is %s is refused', async (_what, value) => {
  await refused(fixture.assertion({ nbf: value }), 'claim_malformed')
  await refused(fixture.assertion({ iat: value }), 'claim_malformed')
})

test('[7523-3.6a] an iat of two days ago is refused, although exp is in range', async () => {
  await refused(fixture.assertion(toClaims({ iat: -2 * DAY, exp: 60 })), 'assertion_lifetime_too_long')
})

test('[7523-3.6b] an iat in the future is refused beyond the skew', async () => {
  await accepted(toClaims({ iat: 8, exp: 68 }))
  await accepted(toClaims({ iat: 30, exp: 68 }))
  await refused(fixture.assertion(toClaims({ iat: 31, exp: 68 })), 'assertion_not_yet_valid')
  await refused(fixture.assertion(toClaims({ iat: 61, exp: 121 })), 'assertion_not_yet_valid')
})

test('[7523-3.6c] without iat the life is measured from now', async () => {
  await accepted(toClaims({ iat: undefined, exp: 3600 }))
  await refused(fixture.assertion(toClaims({ iat: undefined, exp: 3631 })), 'assertion_lifetime_too_long')
})

test('[7519-2-1] fractional times are accepted; what is stored of exp is the whole second below', async () => {
  const claims = fixture.claims({ exp: now + 60.5, iat: now - 0.25, nbf: now - 0.75 })
  const answer = await fixture.requestToken({ assertion: await fixture.assertion(claims) })
  expect(answer.status).toBe(200)
  const { rows } = await server.connection.pool.query(
    'select extract(epoch from assertion_expires_at)::float8 as expires from grant_records where id = $1',
    [decode(answer.body.access_token).claims.jti],
  )
  expect(rows).toEqual([{ expires: now + 60 }])
  await refused(fixture.assertion(claims), 'assertion_replayed')
})

test('[7519-2-1] exponents and trailing zeros are numbers like others', async () => {
  for (const text of [`${now + 60}.000`, `${(now + 60) / 10}e1`]) {
    const answer = await fixture.requestToken({ assertion: await assertionWithText('exp', text) })
    expect(answer.status).toBe(200)
  }
})
