import { describe, expect, test } from '@jest/globals'
import { DEFAULT_SETTINGS } from '../../src/directory/defaults.ts'
import { assertNewExpiry, requireLifetime } from '../../src/directory/key-lifetime.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 10, 21)
const at = (days: number) => new Date(NOW + days * DAY)
const limited = (maxKeyLifetimeDays: number | null) => ({ ...DEFAULT_SETTINGS, maxKeyLifetimeDays })

describe('the life of a new key', () => {
  test.each([
    { limit: null, notBefore: undefined, expiresAt: undefined, ends: null },
    { limit: null, notBefore: undefined, expiresAt: null, ends: null },
    { limit: null, notBefore: at(5), expiresAt: at(6), ends: at(6) },
    { limit: 30, notBefore: undefined, expiresAt: undefined, ends: at(30) },
    { limit: 30, notBefore: undefined, expiresAt: at(30), ends: at(30) },
    { limit: 30, notBefore: at(10), expiresAt: at(40), ends: at(40) },
    { limit: 30, notBefore: at(-10), expiresAt: undefined, ends: at(30) },
  ])('$limit days, from $notBefore to $expiresAt: ends $ends', ({ limit, notBefore, expiresAt, ends }) => {
    const lifetime = requireLifetime({ notBefore, expiresAt }, limited(limit), NOW)
    expect(lifetime).toEqual({ notBefore: notBefore ?? null, expiresAt: ends })
  })

  test.each([
    { limit: null, notBefore: undefined, expiresAt: at(0) },
    { limit: null, notBefore: undefined, expiresAt: at(-1) },
    { limit: null, notBefore: at(5), expiresAt: at(5) },
    { limit: 30, notBefore: undefined, expiresAt: null },
    { limit: 30, notBefore: undefined, expiresAt: at(30.001) },
    { limit: 30, notBefore: at(-10), expiresAt: at(31) },
  ])('$limit days, from $notBefore to $expiresAt is refused', ({ limit, notBefore, expiresAt }) => {
    expect(() => requireLifetime({ notBefore, expiresAt }, limited(limit), NOW)).toThrow('input_invalid')
  })
})

test('a key cannot be prolonged beyond what a new one could have had', () => {
  const key = { notBefore: null, createdAt: at(-20) }
  expect(() => assertNewExpiry(at(10), key, limited(30), NOW)).not.toThrow()
  expect(() => assertNewExpiry(at(11), key, limited(30), NOW)).toThrow('input_invalid')
  expect(() => assertNewExpiry(null, key, limited(30), NOW)).toThrow('input_invalid')
  expect(() => assertNewExpiry(null, key, limited(null), NOW)).not.toThrow()
  expect(() => assertNewExpiry(at(-1), key, limited(null), NOW)).toThrow('input_invalid')
})
