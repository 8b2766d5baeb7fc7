import { expect, test } from '@jest/globals'
import { compare, judgeComparison } from '../../bench/timing-verdict.ts'

/** Times around 2 ms with a long tail, as answers have them: the same ones in every run. */
function times(count: number, seed: number, shift = 0): number[] {
  let state = seed
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return (state + 1) / 2_147_483_649
  }
  return Array.from({ length: count }, () => 1_900 + shift - 100 * Math.log(next()))
}

const verdictOf = (count: number, shift: number) =>
  judgeComparison(compare(times(count, 1), times(count, 2, shift)))

test('two samples of the same times are not told apart', () => {
  expect(verdictOf(4_000, 0)).toBe('not told apart')
})

test('a difference above the bound is told apart, whichever is longer', () => {
  expect(verdictOf(4_000, 80)).toBe('told apart')
  expect(verdictOf(4_000, -80)).toBe('told apart')
})

test('a difference that is seen but of no use is below the bound', () => {
  expect(verdictOf(40_000, 20)).toBe('below the bound')
})

test('samples that would not show the bound pass nothing', () => {
  expect(verdictOf(4, 0)).toBe('too few samples')
})

test('how often the one takes longer, and how likely that is by chance', () => {
  const { superiority, probability, difference } = compare([1, 2, 3, 4, 5], [3.5, 6, 7, 8, 9])
  expect([superiority, difference]).toEqual([23 / 25, 4])
  // U = 23 of 25: z = 10.5 / 4.787.
  expect(probability).toBeCloseTo(0.028, 3)
  const same = compare(times(4_000, 1), times(4_000, 2))
  expect(same.superiority).toBeCloseTo(0.5, 1)
  expect(same.probability).toBeGreaterThan(0.01)
})
