import { expect, test } from '@jest/globals'
import { repeat } from '../src/clock.ts'
import { until } from './support/until.ts'

const EVERY = { firstMilliseconds: 1, everyMilliseconds: 1, retryMilliseconds: 1, onFailure: () => undefined }

test('turns follow one another, also after one that failed, which is told', async () => {
  let turns = 0
  const failures: unknown[] = []
  const stop = repeat(
    async () => {
      if (++turns === 2) throw new Error('the second')
    },
    { ...EVERY, onFailure: (error) => failures.push(error) },
  )
  await until(async () => turns > 3 || undefined)
  await stop()
  expect(failures).toEqual([new Error('the second')])
})

test('the end waits for a turn under way, and none begins after it', async () => {
  let [begun, ended] = [0, 0]
  let finish = (): void => undefined
  const stop = repeat(async () => {
    begun++
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    ended++
  }, EVERY)
  await until(async () => begun > 0 || undefined)
  const stopped = stop()
  finish()
  await stopped
  expect([begun, ended]).toEqual([1, 1])
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(begun).toBe(1)
})
