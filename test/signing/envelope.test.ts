import { randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { isWrappedByFirst, unwrap, wrap } from '../../src/signing/envelope.ts'

const key = [randomBytes(32)] as const

test('what was wrapped comes out again', () => {
  expect(unwrap(wrap(Buffer.from('secret'), key, 'sig_1'), key, 'sig_1').toString()).toBe('secret')
})

test('two wrappings of one text differ', () => {
  expect(wrap(Buffer.from('secret'), key, 'sig_1').equals(wrap(Buffer.from('secret'), key, 'sig_1'))).toBe(
    false,
  )
})

test('another key, another id and any changed byte are refused', () => {
  const wrapped = wrap(Buffer.from('secret'), key, 'sig_1')
  expect(() => unwrap(wrapped, [randomBytes(32)], 'sig_1')).toThrow()
  expect(() => unwrap(wrapped, key, 'sig_2')).toThrow()
  for (let position = 0; position < wrapped.length; position++) {
    const changed = Buffer.from(wrapped)
    changed[position] = (changed[position] ?? 0) ^ 1
    expect(() => unwrap(changed, key, 'sig_1')).toThrow()
  }
})

test('a tag that was cut short is refused, although the cipher itself would take four bytes', () => {
  const wrapped = wrap(Buffer.alloc(0), key, 'sig_1')
  for (let length = 0; length < wrapped.length; length++) {
    expect(() => unwrap(wrapped.subarray(0, length), key, 'sig_1')).toThrow()
  }
})

test('of several keys the first wraps, and each opens what it has wrapped', () => {
  const [old, young] = [randomBytes(32), randomBytes(32)]
  const wrapped = wrap(Buffer.from('secret'), [old], 'sig_1')
  const rewrapped = wrap(Buffer.from('secret'), [young, old], 'sig_1')
  expect(unwrap(wrapped, [young, old], 'sig_1').toString()).toBe('secret')
  expect(unwrap(rewrapped, [old, young], 'sig_1').toString()).toBe('secret')
  expect(unwrap(rewrapped, [young], 'sig_1').toString()).toBe('secret')
  expect(() => unwrap(rewrapped, [old], 'sig_1')).toThrow('no key-encryption key opens the envelope')
  expect(isWrappedByFirst(wrapped, [young, old], 'sig_1')).toBe(false)
  expect(isWrappedByFirst(rewrapped, [young, old], 'sig_1')).toBe(true)
})
