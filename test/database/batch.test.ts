import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { createBatch } from '../../src/database/batch.ts'
import { Refusal } from '../../src/errors.ts'

const limits = { maxItems: 100, maxWaiting: 1000 }

test('one request alone waits for nobody', async () => {
  const sizes: number[] = []
  const double = createBatch(async (items: readonly number[]) => {
    sizes.push(items.length)
    return items.map((item) => item * 2)
  }, limits)
  expect(await double(21)).toBe(42)
  expect(sizes).toEqual([1])
})

test('requests that come together, and those that come while a batch is under way, share one, each with its own answer', async () => {
  const sizes: number[] = []
  const double = createBatch(
    async (items: readonly number[]) => {
      await sleep(50)
      return items.map((item) => item * 2)
    },
    { ...limits, onBatch: (size) => sizes.push(size) },
  )
  const first = Promise.all([1, 2].map(double))
  await sleep(10)
  const second = Promise.all([3, 4, 5].map(double))
  expect(await first).toEqual([2, 4])
  expect(await second).toEqual([6, 8, 10])
  expect(sizes).toEqual([2, 3])
})

test('a batch never grows over its limit', async () => {
  const sizes: number[] = []
  const same = createBatch(
    async (items: readonly number[]) => {
      await sleep(1)
      return items
    },
    { maxItems: 4, maxWaiting: 1000, onBatch: (size) => sizes.push(size) },
  )
  await Promise.all(Array.from({ length: 10 }, (_, item) => same(item)))
  expect(sizes).toEqual([4, 4, 2])
})

test('an outage is told to everyone in the batch', async () => {
  const fail = createBatch(async () => {
    await sleep(1)
    throw Object.assign(new Error('gone'), { code: '57P01' })
  }, limits)
  const outcomes = await Promise.allSettled([1, 2, 3].map(fail))
  expect(outcomes.map((outcome) => outcome.status)).toEqual(['rejected', 'rejected', 'rejected'])
})

test('an item that the database refuses does not fail its neighbours', async () => {
  const store = createBatch(async (items: readonly string[]) => {
    await sleep(1)
    if (items.includes('bad')) throw Object.assign(new Error('invalid'), { code: '22021' })
    return items
  }, limits)
  const outcomes = await Promise.allSettled(['a', 'b', 'bad', 'c'].map(store))
  expect(outcomes.map((outcome) => outcome.status)).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'fulfilled',
  ])
})

test('a full queue refuses at once', async () => {
  const slow = createBatch(
    async (items: readonly number[]) => {
      await sleep(20)
      return items
    },
    { maxItems: 1, maxWaiting: 2 },
  )
  const outcomes = await Promise.allSettled([1, 2, 3, 4].map(slow))
  expect(outcomes.map((outcome) => outcome.status)).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'rejected',
  ])
  expect((outcomes[3] as PromiseRejectedResult).reason).toBeInstanceOf(Refusal)
})
