import { expect, test } from '@jest/globals'
import { countLoss, pauseAfter } from '../../src/workers/pause.ts'

test('the first loss is made good at once, and each further one later, up to half a minute', () => {
  expect([1, 2, 3, 4, 7, 8, 9, 1_000].map(pauseAfter)).toEqual([
    0, 500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000,
  ])
})

test('a worker that lived for a minute has not died of its start', () => {
  expect(countLoss(0, 10)).toBe(1)
  expect(countLoss(4, 59_999)).toBe(5)
  expect(countLoss(4, 60_000)).toBe(1)
})
