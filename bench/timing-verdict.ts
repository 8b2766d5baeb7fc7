import { median } from './measure.ts'

/** Two kinds of refusal, by how long each answer took. Microseconds. */
export type Comparison = {
  median: number
  /** Of the medians. */
  difference: number
  /** The smallest difference of the medians that these samples would show, four times out of five. */
  resolution: number
  /** How often one answer of the second kind takes longer than one of the first; 0.5 tells nothing. */
  superiority: number
  /** Mann and Whitney's: how likely so much is, were both the same. */
  probability: number
}

export type Verdict = 'not told apart' | 'below the bound' | 'told apart' | 'too few samples'

/** What nobody makes use of over a network; both must hold. */
const BOUND = { microseconds: 50, share: 0.05 }
/** Of a normal distribution: both tails of 5 %, and 80 % of the cases in which there is a difference. */
const POWER = 1.96 + 0.84
/** 99 %, for the spread of a median. */
const QUANTILE = 2.576

/** Compares the times of `other` with those of `reference`, both in microseconds and in any order. */
export function compare(reference: readonly number[], other: readonly number[]): Comparison {
  return {
    median: median(other),
    difference: median(other) - median(reference),
    resolution: POWER * Math.hypot(spreadOfMedian(reference), spreadOfMedian(other)),
    ...rank(reference, other),
  }
}

/** Pure: what a comparison says. Where the samples would not show the bound, nothing is said. */
export function judgeComparison({ median, difference, resolution }: Comparison): Verdict {
  const size = Math.abs(difference)
  if (resolution > BOUND.share * median) return 'too few samples'
  if (size <= resolution) return 'not told apart'
  return size < BOUND.microseconds && size < BOUND.share * median ? 'below the bound' : 'told apart'
}

/** The standard error of a median by McKean and Schrader, which takes no distribution for granted. */
function spreadOfMedian(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  const { length } = sorted
  const lower = Math.max(0, Math.round((length + 1) / 2 - QUANTILE * Math.sqrt(length / 4)) - 1)
  return ((sorted[length - 1 - lower] ?? Number.NaN) - (sorted[lower] ?? Number.NaN)) / (2 * QUANTILE)
}

/** Mann and Whitney's test, by its normal approximation; times so fine have next to no ties. */
function rank(reference: readonly number[], other: readonly number[]) {
  const all = [
    ...reference.map((time) => ({ time, isOther: false })),
    ...other.map((time) => ({ time, isOther: true })),
  ].toSorted((a, b) => a.time - b.time)
  const rankSum = all.reduce((sum, { isOther }, index) => (isOther ? sum + index + 1 : sum), 0)
  const [n, m] = [reference.length, other.length]
  const wins = rankSum - (m * (m + 1)) / 2
  const z = (wins - (n * m) / 2) / Math.sqrt((n * m * (n + m + 1)) / 12)
  return { superiority: wins / (n * m), probability: 2 * upperTail(Math.abs(z)) }
}

/** Of the standard normal distribution, by Abramowitz and Stegun 26.2.17. */
function upperTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z)
  const polynomial =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * polynomial
}
