import { describe, expect, test } from '@jest/globals'
import { createNonces, type NoncePurpose } from '../../src/possession/nonces.ts'
import type { KeyEncryptionKeys } from '../../src/signing/envelope.ts'

const KEY = Buffer.alloc(32, 1)
const FORMER_KEY = Buffer.alloc(32, 2)
/** The beginning of a step. */
const START = Date.UTC(2026, 10, 21, 12)
const SECOND = 1000

function noncesAt(
  now: number,
  purpose: NoncePurpose = 'token endpoint',
  keyEncryptionKeys: KeyEncryptionKeys = [KEY],
) {
  return createNonces({ keyEncryptionKeys, purpose, clock: { now: () => now } })
}

const given = noncesAt(START).present()

test('a nonce is 128 bits that say nothing', () => {
  expect(given).toMatch(/^[A-Za-z0-9_-]{22}$/)
  expect(noncesAt(START + 119 * SECOND).present()).toBe(given)
  expect(noncesAt(START + 120 * SECOND).present()).not.toBe(given)
})

describe('a nonce holds', () => {
  test.each([0, 119, 120, 239])('%i seconds after it was first given out', (seconds) => {
    expect(noncesAt(START + seconds * SECOND).holds(given)).toBe(true)
  })

  test('on a node whose clock is somewhat behind', () => {
    expect(noncesAt(START - 30 * SECOND).holds(given)).toBe(true)
  })

  test('while another key-encryption key takes the place of the one that it was made under', () => {
    const old = noncesAt(START, 'token endpoint', [FORMER_KEY]).present()
    expect(noncesAt(START, 'token endpoint', [KEY, FORMER_KEY]).holds(old)).toBe(true)
    expect(noncesAt(START, 'token endpoint', [FORMER_KEY, KEY]).holds(given)).toBe(true)
  })
})

describe('a nonce does not hold', () => {
  test.each([240, 3600, -121])('%i seconds after it was first given out', (seconds) => {
    expect(noncesAt(START + seconds * SECOND).holds(given)).toBe(false)
  })

  test('where others are given out', () => {
    expect(noncesAt(START, 'management API').holds(given)).toBe(false)
  })

  test('under another key-encryption key', () => {
    expect(noncesAt(START, 'token endpoint', [FORMER_KEY]).holds(given)).toBe(false)
  })

  test.each([
    '',
    ' ',
    given.toLowerCase(),
    `${given}=`,
    `${given}A`,
    given.slice(1),
    'é'.repeat(22),
    '\u0000',
  ])('changed to %j', (nonce) => {
    expect(noncesAt(START).holds(nonce)).toBe(false)
  })
})
