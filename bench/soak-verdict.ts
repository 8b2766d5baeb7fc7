import { median, quantile } from './measure.ts'

/** What was read of server and database at one moment. */
export type Reading = {
  /** Since the load began. */
  minute: number
  serverMebibytes: number
  heapMebibytes: number
  /** Of PostgreSQL, without the buffers that its processes share. */
  databaseMebibytes: number
  /** Files and sockets of the server. */
  descriptors: number
  /** Of the server, at PostgreSQL. */
  connections: number
  /** Grant records with their indexes. */
  recordsMebibytes: number
}

/** The requests of one minute, by when they were due. */
export type Minute = { latencies: readonly number[]; failed: number }

export type Finding = { what: string; found: string; bound: string; isMet: boolean }

/** At a thousand requests a second this is less than 10 bytes of each. */
const MEBIBYTES_PER_HOUR = 32
/** What the scraping of the metrics and a look at the health may have open at the moment. */
const SPARE_DESCRIPTORS = 2
const LATENCY_RATIO = 1.5

/**
 * Judges a soak. Its first third is warm-up: compilers, pools and caches come to rest. After it memory must not rise
 * by more than the bound, the last third must have no more descriptors or connections than the middle one and answer
 * as fast, and no request may have failed in any of them.
 */
export function judgeSoak(readings: readonly Reading[], minutes: readonly Minute[]): Finding[] {
  const [, middle, last] = thirds(readings)
  const settled = [...middle, ...last]
  const growth = (what: string, pick: (reading: Reading) => number): Finding => {
    const perHour = slope(settled.map((reading) => [reading.minute / 60, pick(reading)]))
    return {
      what,
      found: `${signed(perHour)} MiB an hour`,
      bound: `under ${MEBIBYTES_PER_HOUR}`,
      isMet: perHour < MEBIBYTES_PER_HOUR,
    }
  }
  const flat = (what: string, pick: (reading: Reading) => number): Finding => {
    const [before, after] = [Math.max(...middle.map(pick)), Math.max(...last.map(pick))]
    return {
      what,
      found: `${before}, then ${after}`,
      bound: `at most ${SPARE_DESCRIPTORS} more`,
      isMet: after <= before + SPARE_DESCRIPTORS,
    }
  }
  return [
    growth('resident memory of the server', (reading) => reading.serverMebibytes),
    growth('heap of the server', (reading) => reading.heapMebibytes),
    growth('memory of PostgreSQL, without shared buffers', (reading) => reading.databaseMebibytes),
    flat('open files and sockets of the server, at most', (reading) => reading.descriptors),
    flat('connections to PostgreSQL, at most', (reading) => reading.connections),
    judgeLatency(minutes),
    judgeFailures(minutes),
  ]
}

function judgeLatency(minutes: readonly Minute[]): Finding {
  const [, middle, last] = thirds(minutes).map((third) =>
    p99(third.flatMap(({ latencies }) => [...latencies])),
  )
  const ratio = (last ?? Number.NaN) / (middle ?? Number.NaN)
  return {
    what: 'p99 of the last third against the middle one',
    found: `${ratio.toFixed(2)} ×`,
    bound: `at most ${LATENCY_RATIO}`,
    isMet: ratio <= LATENCY_RATIO,
  }
}

function judgeFailures(minutes: readonly Minute[]): Finding {
  const failed = minutes.reduce((sum, minute) => sum + minute.failed, 0)
  return { what: 'requests that failed', found: String(failed), bound: 'none', isMet: failed === 0 }
}

function p99(latencies: readonly number[]): number {
  return quantile(
    latencies.toSorted((a, b) => a - b),
    0.99,
  )
}

/** Warm-up, middle and last third. Throws when there are too few for a verdict. */
export function thirds<Each>(all: readonly Each[]): [Each[], Each[], Each[]] {
  const size = Math.floor(all.length / 3)
  if (size === 0) throw new Error('a soak has three minutes at least')
  return [all.slice(0, all.length - 2 * size), all.slice(-2 * size, -size), all.slice(-size)]
}

/**
 * The slope of the line through the points by Theil and Sen: the median of the slopes between any two, which a
 * collection of garbage here and there does not move.
 */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  return median(
    points.flatMap(([x1, y1], index) => points.slice(index + 1).map(([x2, y2]) => (y2 - y1) / (x2 - x1))),
  )
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`
}
