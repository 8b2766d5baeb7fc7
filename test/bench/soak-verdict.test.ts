import { expect, test } from '@jest/globals'
import { judgeSoak, type Minute, type Reading, slope } from '../../bench/soak-verdict.ts'

const MINUTES = 45
/** A saw, as garbage collection makes it. */
const wave = (minute: number) => 20 * ((minute * 4) % 7)

function readings(change: (reading: Reading) => Partial<Reading> = () => ({})): Reading[] {
  return Array.from({ length: MINUTES * 4 }, (_, index) => {
    const minute = index / 4
    const reading = {
      minute,
      serverMebibytes: 200 + wave(minute),
      heapMebibytes: 60 + wave(minute),
      databaseMebibytes: 90,
      descriptors: 60,
      connections: 16,
      recordsMebibytes: minute * 50,
    }
    return { ...reading, ...change(reading) }
  })
}

function minutes(change: (minute: number) => Partial<Minute> = () => ({})): Minute[] {
  return Array.from({ length: MINUTES }, (_, minute) => ({
    latencies: Array.from({ length: 200 }, (_, index) => 2 + index / 100),
    failed: 0,
    ...change(minute),
  }))
}

const missed = (...soak: Parameters<typeof judgeSoak>) =>
  judgeSoak(...soak)
    .filter(({ isMet }) => !isMet)
    .map(({ what }) => what)

test('a soak in which nothing grows but the records holds', () => {
  expect(missed(readings(), minutes())).toEqual([])
})

test('what settles within the first third is no growth', () => {
  const settling = readings(({ minute, serverMebibytes }) => ({
    serverMebibytes: serverMebibytes - Math.max(0, 15 - minute) * 10,
  }))
  expect(missed(settling, minutes())).toEqual([])
})

test.each([
  ['resident memory of the server', 'serverMebibytes'],
  ['heap of the server', 'heapMebibytes'],
  ['memory of PostgreSQL, without shared buffers', 'databaseMebibytes'],
] as const)('%s that rises by 40 MiB an hour under its saw is told', (what, name) => {
  const leaking = readings((reading) => ({ [name]: reading[name] + (reading.minute / 60) * 40 }))
  expect(missed(leaking, minutes())).toEqual([what])
})

test.each([
  ['open files and sockets of the server, at most', 'descriptors'],
  ['connections to PostgreSQL, at most', 'connections'],
] as const)('%s that are more in the last third are told', (what, name) => {
  const leaking = readings((reading) => ({ [name]: reading[name] + Math.floor(reading.minute / 5) }))
  expect(missed(leaking, minutes())).toEqual([what])
})

test('answers that become late by half are told', () => {
  const slow = minutes((minute) => (minute < 30 ? {} : { latencies: [2, 7] }))
  expect(missed(readings(), slow)).toEqual(['p99 of the last third against the middle one'])
})

test('one request that failed is told, also in the first third', () => {
  expect(
    missed(
      readings(),
      minutes((minute) => (minute === 3 ? { failed: 1 } : {})),
    ),
  ).toEqual(['requests that failed'])
})

test('a single reading far off does not move the slope', () => {
  expect(slope([0, 1, 2, 3, 4, 5, 6].map((x) => [x, x === 5 ? 1_000 : 3 * x]))).toBe(3)
})
