import { expect, test } from '@jest/globals'
import { createTurns } from '../../src/background/turns.ts'

const busy = (limit: string, waiting: number) => new Error(`${limit}, ${waiting} wait`)

test('turns are taken one after the other, in order, and too many are refused at once', async () => {
  const takeTurn = createTurns(3, busy)
  const finish: (() => void)[] = []
  const order: number[] = []
  const task = (number: number) =>
    takeTurn(async () => {
      await new Promise<void>((resolve) => finish.push(resolve))
      order.push(number)
    })
  const tasks = [0, 1, 2, 3].map(task)
  await expect(task(4)).rejects.toThrow('server, 3 wait')
  while (order.length < 4) {
    expect(finish.length).toBeLessThanOrEqual(1)
    finish.shift()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(tasks)
  expect(order).toEqual([0, 1, 2, 3])
})

test('a turn is passed on when its task fails', async () => {
  const takeTurn = createTurns(1, busy)
  await expect(takeTurn(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  expect(await takeTurn(async () => 'next')).toBe('next')
})

test('a turn that comes in the moment when its time is over is passed on', async () => {
  const takeTurn = createTurns(3, busy)
  const lapse = new AbortController()
  const { promise: end, resolve: finish } = Promise.withResolvers<void>()
  const first = takeTurn(() => end)
  const late = takeTurn(async () => 'late', lapse.signal)
  const patient = takeTurn(async () => 'patient')
  finish()
  lapse.abort()
  await Promise.allSettled([first, late])
  expect(await patient).toBe('patient')
  expect(await takeTurn(async () => 'next')).toBe('next')
})

test('who waits too long is forgotten, and what runs too long keeps its turn to the end', async () => {
  const takeTurn = createTurns(2, busy)
  const lapse = new AbortController()
  const { promise: end, resolve: finish } = Promise.withResolvers<void>()
  const done: string[] = []
  const late = takeTurn(() => end.then(() => void done.push('late')), lapse.signal)
  const forgotten = takeTurn(async () => void done.push('forgotten'), lapse.signal)
  const patient = takeTurn(async () => void done.push('patient'))
  lapse.abort()
  await expect(late).rejects.toThrow('time')
  await expect(forgotten).rejects.toThrow('time')
  expect(done).toEqual([])
  finish()
  await patient
  expect(done).toEqual(['late', 'patient'])
})
