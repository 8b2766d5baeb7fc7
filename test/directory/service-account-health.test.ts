import { describe, expect, test } from '@jest/globals'
import { EXPIRING_DAYS, marksOf, UNUSED_DAYS } from '../../src/directory/service-account-health.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 10, 22)
const daysAgo = (days: number) => new Date(NOW - days * DAY)
const GOOD = {
  status: 'active' as const,
  createdAt: daysAgo(400),
  lastUsedAt: daysAgo(1),
  ownerContact: 'Ada',
}
const NO_EXPIRY = { nextExpiry: null }

describe('an account bears the mark', () => {
  test.each([
    ['none, where all is well', {}, NO_EXPIRY, []],
    ['disabled', { status: 'disabled' as const }, NO_EXPIRY, ['disabled']],
    ['unused, when it was never used', { lastUsedAt: null }, NO_EXPIRY, ['unused']],
    ['unused, when that is long ago', { lastUsedAt: daysAgo(UNUSED_DAYS + 1) }, NO_EXPIRY, ['unused']],
    ['none, used just within that time', { lastUsedAt: daysAgo(UNUSED_DAYS) }, NO_EXPIRY, []],
    ['none, when it is new and not used yet', { lastUsedAt: null, createdAt: daysAgo(2) }, NO_EXPIRY, []],
    ['expiring, for a key that runs out soon', {}, { nextExpiry: daysAgo(-EXPIRING_DAYS) }, ['expiring']],
    ['none, for one that runs out later', {}, { nextExpiry: daysAgo(-EXPIRING_DAYS - 1) }, []],
    ['no_owner', { ownerContact: null }, NO_EXPIRY, ['no_owner']],
    [
      'all that apply',
      { status: 'disabled' as const, lastUsedAt: null, ownerContact: null },
      NO_EXPIRY,
      ['disabled', 'unused', 'no_owner'],
    ],
  ])('%s', (_what, changes, keys, marks) => {
    expect(marksOf({ ...GOOD, ...changes }, keys, NOW)).toEqual(marks)
  })
})
