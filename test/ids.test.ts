import { expect, test } from '@jest/globals'
import { isId, newId } from '../src/ids.ts'

test('ids made later sort later', () => {
  const ids = [1, 2, 31, 32, 1_000_000, 1_795_000_000_000, 2 ** 48 - 1].map((time) => newId('acc', time))
  expect([...ids].sort()).toEqual(ids)
})

test('[9068-p1] an id has more than 128 random bits, none of them repeated', () => {
  const ids = new Set(Array.from({ length: 10_000 }, () => newId('tok', 0)))
  expect(ids.size).toBe(10_000)
  expect([...ids].every((id) => /^tok_0{10}[0-9a-hjkmnp-tv-z]{26}$/.test(id))).toBe(true)
})

test('an id of one kind is not one of another', () => {
  const id = newId('acc', 5)
  expect(isId('acc', id)).toBe(true)
  expect(isId('key', id)).toBe(false)
  expect(isId('acc', `${id}0`)).toBe(false)
  expect(isId('acc', id.toUpperCase())).toBe(false)
})
