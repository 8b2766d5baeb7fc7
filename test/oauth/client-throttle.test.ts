import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Refusal } from '../../src/errors.ts'
import { createClientThrottle } from '../../src/oauth/client-throttle.ts'
import { basic, createApiToken, forgeApiToken } from '../support/api-tokens.ts'
import { type Answer, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ trustedProxies: ['127.0.0.1'] })
})
afterAll(() => server.close())

function authenticate(from: string, authorization: string): Promise<Answer> {
  const headers = { authorization, 'x-forwarded-for': from }
  return server.post('/oauth/token', { grant_type: 'client_credentials' }, headers)
}

test('guessing secrets is slowed down, and closes the account to nobody who has the right one', async () => {
  const fixture = await server.createFixture()
  const apiToken = await createApiToken(server, fixture)
  const guess = () => authenticate('203.0.113.1', basic(fixture.accountId, forgeApiToken(apiToken.keyId)))
  const statuses: number[] = []
  for (let count = 0; count < 30; count++) statuses.push((await guess()).status)
  expect(statuses.slice(0, 10)).toEqual(new Array(10).fill(401))
  expect(statuses.slice(10)).toEqual(new Array(20).fill(429))

  const throttled = await guess()
  expect([throttled.status, throttled.body.error]).toEqual([429, 'temporarily_unavailable'])
  expect(Number(throttled.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  for (const address of ['203.0.113.1', '203.0.113.2'])
    expect((await authenticate(address, apiToken.authorization)).status).toBe(200)
  expect((await fixture.requestToken()).status).toBe(200)
})

test('an unknown client is slowed down just the same', async () => {
  const fixture = await server.createFixture()
  const { token } = await createApiToken(server, fixture)
  const statuses: number[] = []
  for (let count = 0; count < 12; count++)
    statuses.push((await authenticate('203.0.113.3', basic('acc_nobody', token))).status)
  expect(statuses.filter((status) => status === 429)).toHaveLength(2)
})

test('one address that guesses at many accounts is slowed down as a whole', async () => {
  const statuses: number[] = []
  for (let count = 0; count < 70; count++)
    statuses.push((await authenticate('203.0.113.4', basic(`acc_${count}`, 'wrong'))).status)
  expect(statuses.indexOf(429)).toBe(60)
})

describe('the counting', () => {
  const wrong = async () => {
    throw new Refusal('credentials_invalid')
  }
  const isThrottled = async (outcome: Promise<unknown>) => {
    const error = await outcome.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    return error instanceof Refusal && error.reason === 'too_many_requests'
  }

  test('success and faults of ours do not count', async () => {
    const throttle = createClientThrottle()
    const client = { ip: '192.0.2.1', clientId: 'a' }
    for (let count = 0; count < 100; count++) {
      expect(await throttle.guard(client, async () => count)).toBe(count)
      await throttle
        .guard(client, async () => {
          throw new Error('bug')
        })
        .catch(() => undefined)
    }
    expect(await isThrottled(throttle.guard(client, wrong))).toBe(false)
  })

  test('remembers a bounded number: the one that failed longest ago is forgotten first', async () => {
    const throttle = createClientThrottle()
    const guess = (ip: string) => throttle.guard({ ip, clientId: 'a' }, wrong)
    for (let count = 0; count < 11; count++) await guess('192.0.2.1').catch(() => undefined)
    expect(await isThrottled(guess('192.0.2.1'))).toBe(true)
    for (let count = 0; count < 10_000; count++) {
      await guess(`10.${count >> 16}.${(count >> 8) & 255}.${count & 255}`).catch(() => undefined)
    }
    expect(await isThrottled(guess('192.0.2.1'))).toBe(false)
  })
})
