import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { Refusal } from '../../src/errors.ts'
import { createIntrospectionThrottle } from '../../src/oauth/introspection-throttle.ts'
import type { Inspection } from '../../src/tokens/inspect.ts'

const UNKNOWN: Inspection = { active: false, why: 'unknown' }
const EXPIRED: Inspection = { active: false, why: 'expired' }

beforeEach(() => {
  jest.useFakeTimers()
})

afterEach(() => {
  jest.useRealTimers()
})

/** The reason of a refusal, or that there was none. */
async function outcome(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt
    return 'passed'
  } catch (error) {
    return error instanceof Refusal ? error.reason : String(error)
  }
}

async function repeat(times: number, attempt: () => Promise<unknown>): Promise<string> {
  let last = ''
  for (let count = 0; count < times; count++) last = await outcome(attempt())
  return last
}

test('after a minute, whoever failed too often may try again', async () => {
  const throttle = createIntrospectionThrottle()
  const fail = () =>
    throttle.guardCredentials('203.0.113.1', () => Promise.reject(new Refusal('credentials_invalid')))
  expect(await repeat(60, fail)).toBe('credentials_invalid')
  expect(await outcome(fail())).toBe('too_many_requests')
  jest.advanceTimersByTime(60_001)
  expect(await outcome(fail())).toBe('credentials_invalid')
})

test('one address that failed too often keeps no other one waiting', async () => {
  const throttle = createIntrospectionThrottle()
  const fail = (ip: string) =>
    throttle.guardCredentials(ip, () => Promise.reject(new Refusal('credentials_invalid')))
  await repeat(61, () => fail('203.0.113.1'))
  expect(await outcome(fail('203.0.113.2'))).toBe('credentials_invalid')
})

test('all addresses of an IPv6 network are one: whoever has one of them has them all', async () => {
  const throttle = createIntrospectionThrottle()
  const fail = (ip: string) =>
    throttle.guardCredentials(ip, () => Promise.reject(new Refusal('credentials_invalid', { callerId: ip })))
  for (let host = 1; host <= 60; host++) await outcome(fail(`2001:db8::${host.toString(16)}`))
  await expect(fail('2001:db8:0:0:ffff::1')).rejects.toMatchObject({
    reason: 'too_many_requests',
    detail: { callerId: '2001:db8:0:0:ffff::1' },
  })
  expect(await outcome(fail('2001:db8:0:1::1'))).toBe('credentials_invalid')
})

test('a request without credentials is no guess, nor is a permission that is missing', async () => {
  const throttle = createIntrospectionThrottle()
  for (const reason of ['credentials_missing', 'permission_missing', 'database_unavailable'] as const) {
    const fail = () => throttle.guardCredentials('203.0.113.1', () => Promise.reject(new Refusal(reason)))
    expect(await repeat(100, fail)).toBe(reason)
  }
})

test('after a minute, a caller is told again about tokens that nobody issued', async () => {
  const throttle = createIntrospectionThrottle()
  const ask = () => throttle.assertNotFishing('rs_1', UNKNOWN)
  expect(await repeat(300, ask)).toBe('passed')
  expect(await outcome(ask())).toBe('too_many_requests')
  jest.advanceTimersByTime(60_001)
  expect(await outcome(ask())).toBe('passed')
})

test('tokens that were issued once are ordinary questions, however many', async () => {
  const throttle = createIntrospectionThrottle()
  expect(await repeat(1000, () => throttle.assertNotFishing('rs_1', EXPIRED))).toBe('passed')
})
