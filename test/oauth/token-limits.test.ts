import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { countGrants, expectRefusalFor } from '../conformance/support.ts'
import { createApiToken } from '../support/api-tokens.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

const MINUTE_SECONDS = 60

let server: TestServer
let other: TestServer

beforeAll(async () => {
  server = await startTestServer()
  const { connection, clock, issuer } = server
  other = await startTestServer({ connection, clock, issuer })
})
afterAll(async () => {
  await other.close()
  await server.close()
})

/** An account that may ask for so many tokens in a minute. */
async function createLimited(limit: number): Promise<Fixture> {
  const fixture = await server.createFixture()
  await must(server.api('PATCH', fixture.accountPath, { token_requests_per_minute: limit }))
  return fixture
}

/** Moves the clock to the first seconds of a minute, so that a test does not meet the end of one. */
function beginMinute(): void {
  server.clock.advance(MINUTE_SECONDS - (Math.floor(server.clock.now() / 1000) % MINUTE_SECONDS))
}

function limitsOf({ headers }: Answer): { policy: string | null; left: number; resetSeconds: number } {
  const [, left, resetSeconds] =
    /^"token-requests";r=(\d+);t=(\d+)$/.exec(headers.get('ratelimit') ?? '') ?? []
  return { policy: headers.get('ratelimit-policy'), left: Number(left), resetSeconds: Number(resetSeconds) }
}

test('without a limit nothing is said of one', async () => {
  const fixture = await server.createFixture()
  const answer = await fixture.requestToken()
  expect([answer.headers.has('ratelimit'), answer.headers.has('ratelimit-policy')]).toEqual([false, false])
})

test('every answer says what is left; then 429 with Retry-After, until the minute is over', async () => {
  const fixture = await createLimited(3)
  beginMinute()
  for (const left of [2, 1, 0]) {
    const answer = await fixture.requestToken()
    expect(answer.status).toBe(200)
    expect(limitsOf(answer)).toEqual({
      policy: '"token-requests";q=3;w=60',
      left,
      resetSeconds: expect.any(Number),
    })
  }
  const assertion = await fixture.assertion()
  const refused = await fixture.requestToken({ assertion })
  await expectRefusalFor(server, refused, {
    status: 429,
    error: 'temporarily_unavailable',
    reason: 'token_limit_reached',
  })
  const { left, resetSeconds } = limitsOf(refused)
  expect(left).toBe(0)
  expect(refused.headers.get('retry-after')).toBe(String(resetSeconds))
  expect(resetSeconds).toBeGreaterThan(0)
  expect(resetSeconds).toBeLessThanOrEqual(MINUTE_SECONDS)

  server.clock.advance(resetSeconds)
  const again = await fixture.requestToken({ assertion })
  expect([again.status, limitsOf(again).left]).toEqual([200, 2])
})

test('a burst over two nodes gets exactly as many tokens as the limit says', async () => {
  const fixture = await createLimited(25)
  beginMinute()
  const before = await countGrants(server)
  const answers = await Promise.all(
    Array.from({ length: 120 }, async (_, index) => {
      const node = index % 2 === 0 ? server : other
      return node.post('/oauth/token', {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: await fixture.assertion(),
      })
    }),
  )
  const granted = answers.filter(({ status }) => status === 200)
  expect(granted).toHaveLength(25)
  expect(answers.filter(({ status }) => status === 429)).toHaveLength(95)
  expect((await countGrants(server)) - before).toBe(25)
  expect(granted.map((answer) => limitsOf(answer).left).sort((one, two) => one - two)).toEqual(
    Array.from({ length: 25 }, (_, left) => left),
  )
})

test('accounts are counted apart, also when they share a batch', async () => {
  const [one, two, free] = [await createLimited(2), await createLimited(4), await server.createFixture()]
  beginMinute()
  const count = async (fixture: Fixture) => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => fixture.requestToken()))
    return answers.filter(({ status }) => status === 200).length
  }
  expect(await Promise.all([one, two, free].map(count))).toEqual([2, 4, 6])
})

test('all keys of an account count together, whichever grant they use', async () => {
  const fixture = await createLimited(2)
  const apiToken = await createApiToken(server, fixture)
  beginMinute()
  const statuses = [
    (await apiToken.requestToken()).status,
    (await fixture.requestToken()).status,
    (await apiToken.requestToken()).status,
    (await fixture.requestToken()).status,
  ]
  expect(statuses).toEqual([200, 200, 429, 429])
})

test('whoever cannot authenticate uses nothing up', async () => {
  const fixture = await createLimited(1)
  const stranger = await server.createFixture()
  beginMinute()
  for (let count = 0; count < 3; count++) {
    const forged = await stranger.assertion(
      { iss: fixture.accountId, sub: fixture.accountId },
      { kid: fixture.keyId },
    )
    expect((await fixture.requestToken({ assertion: forged })).status).toBe(400)
    expect((await fixture.requestToken({ form: { scope: 'admin' } })).body.error).toBe('invalid_scope')
  }
  expect((await fixture.requestToken()).status).toBe(200)
})

describe('whose limit counts', () => {
  test('the account’s own before its organization’s, and changes count from the next request', async () => {
    const fixture = await server.createFixture()
    const organization = `/organizations/${fixture.organizationId}`
    const policy = async () => limitsOf(await fixture.requestToken()).policy
    await must(server.api('PATCH', organization, { settings: { token_requests_per_minute: 50 } }))
    expect(await policy()).toBe('"token-requests";q=50;w=60')
    await must(server.api('PATCH', fixture.accountPath, { token_requests_per_minute: 80 }))
    expect(await policy()).toBe('"token-requests";q=80;w=60')
    expect((await must(server.api('GET', fixture.accountPath))).token_requests_per_minute).toBe(80)
    await must(server.api('PATCH', fixture.accountPath, { token_requests_per_minute: null }))
    expect(await policy()).toBe('"token-requests";q=50;w=60')
    await must(server.api('PATCH', organization, { settings: { token_requests_per_minute: null } }))
    expect(await policy()).toBeNull()
  })

  test.each([0, -1, 1.5, '5', 1_000_001])('a limit of %p is refused', async (limit) => {
    const fixture = await server.createFixture()
    for (const answer of [
      await server.api('PATCH', fixture.accountPath, { token_requests_per_minute: limit }),
      await server.api('PATCH', `/organizations/${fixture.organizationId}`, {
        settings: { token_requests_per_minute: limit },
      }),
    ]) {
      expect([answer.status, answer.body.code]).toEqual([422, 'input_invalid'])
    }
  })
})

test('a node whose clock lags counts into the minute that the others have begun', async () => {
  const fixture = await createLimited(2)
  beginMinute()
  expect((await fixture.requestToken()).status).toBe(200)
  server.clock.advance(-5)
  expect(limitsOf(await fixture.requestToken()).left).toBe(0)
  server.clock.advance(5)
  expect((await fixture.requestToken()).status).toBe(429)
})
