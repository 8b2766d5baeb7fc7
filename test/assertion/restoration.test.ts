import { describe, expect, test } from '@jest/globals'
import { assertSignedSince } from '../../src/assertion/restoration.ts'
import { Refusal } from '../../src/errors.ts'

const RESTORED = 1_800_000_000

function judge(claims: Record<string, unknown>, secondsAfter: number, restoredAt = RESTORED * 1000) {
  try {
    assertSignedSince(claims, restoredAt, RESTORED + secondsAfter)
    return 'taken'
  } catch (error) {
    return error instanceof Refusal ? error.reason : 'bug'
  }
}

describe('after a restoration, until nothing from before it can be valid any more', () => {
  test.each<[string, Record<string, unknown>, number, string]>([
    ['signed before', { iat: RESTORED - 1 }, 5, 'assertion_before_restoration'],
    ['signed long before', { iat: RESTORED - 3_000 }, 500, 'assertion_before_restoration'],
    // Its sender's clock may run ahead by as much as is tolerated.
    [
      'said to be signed within the leeway after it',
      { iat: RESTORED + 30 },
      40,
      'assertion_before_restoration',
    ],
    ['signed after that', { iat: RESTORED + 31 }, 40, 'taken'],
    ['with a fraction, after that', { iat: RESTORED + 30.5 }, 40, 'taken'],
    ['that does not say when', {}, 500, 'assertion_before_restoration'],
    ['whose iat is no number', { iat: `${RESTORED + 100}` }, 500, 'assertion_before_restoration'],
    [
      'signed before, which has not expired in the longest life that there is',
      { iat: RESTORED },
      3_659,
      'assertion_before_restoration',
    ],
    ['signed before, which has expired', { iat: RESTORED }, 3_661, 'taken'],
    ['that does not say when, later', {}, 3_661, 'taken'],
  ])('an assertion %s', (_what, claims, secondsAfter, verdict) => {
    expect(judge(claims, secondsAfter)).toBe(verdict)
  })
})

test('where the database was never put back nothing is asked', () => {
  expect(() => assertSignedSince({}, undefined, RESTORED)).not.toThrow()
})
