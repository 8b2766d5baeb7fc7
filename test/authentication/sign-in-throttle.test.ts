import { describe, expect, test } from '@jest/globals'
import { createSignInThrottle, type SignInThrottle } from '../../src/authentication/sign-in-throttle.ts'

const WINDOW = { duration: 900 }
const LIMITS = {
  address: { points: 6, ...WINDOW },
  accountAtAddress: { points: 3, ...WINDOW },
  account: { points: 4, ...WINDOW },
  codes: { points: 2, ...WINDOW },
  openid: { points: 2, ...WINDOW },
}
const TOO_MANY = { reason: 'too_many_requests', told: { retryAfterSeconds: 900 } }

/** One guess; `holds` when it was right. */
async function attempt(
  throttle: SignInThrottle,
  email: string,
  ip: string,
  { holds = false, isKnownAddress = false } = {},
): Promise<void> {
  const first = await throttle.begin(email, ip)
  const second = await throttle.goOn('account', email, isKnownAddress)
  if (holds) await Promise.all([first.held(), second.held()])
}

describe('wrong guesses are bounded', () => {
  test('at one account from one address', async () => {
    const throttle = createSignInThrottle(LIMITS)
    for (let count = 0; count < 3; count++) await attempt(throttle, 'a@x', '10.0.0.1')
    await expect(attempt(throttle, 'a@x', '10.0.0.1')).rejects.toMatchObject(TOO_MANY)
    await attempt(throttle, 'b@x', '10.0.0.1')
  })

  test('from one address at many accounts', async () => {
    const throttle = createSignInThrottle(LIMITS)
    for (let count = 0; count < 6; count++) await attempt(throttle, `${count}@x`, '10.0.0.1')
    await expect(attempt(throttle, 'z@x', '10.0.0.1')).rejects.toMatchObject(TOO_MANY)
    await attempt(throttle, 'z@x', '10.0.0.2')
  })

  test('at one account from many addresses, but not from one that it signs in from', async () => {
    const throttle = createSignInThrottle(LIMITS)
    for (let count = 0; count < 4; count++) await attempt(throttle, 'a@x', `10.0.0.${count}`)
    await expect(attempt(throttle, 'a@x', '10.0.0.9')).rejects.toMatchObject(TOO_MANY)
    await attempt(throttle, 'a@x', '10.1.1.1', { isKnownAddress: true, holds: true })
  })

  test('also when all come at once', async () => {
    const throttle = createSignInThrottle(LIMITS)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => attempt(throttle, 'a@x', '10.0.0.1')),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  })

  test('of codes apart from passwords', async () => {
    const throttle = createSignInThrottle(LIMITS)
    await throttle.goOn('codes', 'a@x', false)
    await throttle.goOn('codes', 'a@x', false)
    await expect(throttle.goOn('codes', 'a@x', false)).rejects.toMatchObject(TOO_MANY)
    await throttle.goOn('account', 'a@x', false)
  })
})

test('what holds does not count', async () => {
  const throttle = createSignInThrottle(LIMITS)
  for (let count = 0; count < 20; count++) await attempt(throttle, 'a@x', '10.0.0.1', { holds: true })
})

test.each([
  ['2001:db8::1', '2001:db8::ffff:1', true],
  ['2001:db8:0:0:1::', '2001:0DB8::', true],
  ['2001:db8::1', '2001:db8:0:1::1', false],
  ['::ffff:10.0.0.1', '10.0.0.1', true],
  ['::ffff:10.0.0.1', '::ffff:10.0.0.2', false],
  ['fe80::1%eth0', 'fe80::2%eth0', true],
])('%s and %s are one address: %s', async (one, other, isOne) => {
  const throttle = createSignInThrottle(LIMITS)
  for (let count = 0; count < 6; count++) await attempt(throttle, `${count}@x`, one)
  const again = attempt(throttle, 'z@x', other)
  if (isOne) await expect(again).rejects.toMatchObject(TOO_MANY)
  else await again
})

test('sign-ins that begin at a provider are bounded by address', async () => {
  const throttle = createSignInThrottle(LIMITS)
  await throttle.countOpenid('10.0.0.1')
  await throttle.countOpenid('10.0.0.1')
  await expect(throttle.countOpenid('10.0.0.1')).rejects.toMatchObject(TOO_MANY)
  await throttle.countOpenid('10.0.0.2')
})
