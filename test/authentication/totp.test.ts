import { describe, expect, test } from '@jest/globals'
import {
  codeOf,
  createTotpSecret,
  findStep,
  stepAt,
  toBase32,
  toKeyUri,
} from '../../src/authentication/totp.ts'

/** RFC 4226 appendix D and RFC 6238 appendix B, for SHA-1. */
const SECRET = Buffer.from('12345678901234567890')

describe('codes are those of the specifications', () => {
  test.each(
    [755224, 287082, 359152, 969429, 338314, 254676, 287922, 162583, 399871, 520489].entries().toArray(),
  )('RFC 4226, counter %i', (counter, code) => {
    expect(codeOf(SECRET, counter)).toBe(String(code))
  })

  test.each([
    [59, '94287082'],
    [1111111109, '07081804'],
    [1111111111, '14050471'],
    [1234567890, '89005924'],
    [2000000000, '69279037'],
    [20000000000, '65353130'],
  ])('RFC 6238, at %i seconds', (seconds, code) => {
    expect(codeOf(SECRET, stepAt(seconds * 1000), 8)).toBe(code)
  })
})

describe('a code holds', () => {
  const now = 1_234_567_890_000

  test.each([
    [-2, undefined],
    [-1, -1],
    [0, 0],
    [1, 1],
    [2, undefined],
  ])('in its step and one to either side: %i', (stepsLater, expected) => {
    const code = codeOf(SECRET, stepAt(now) + stepsLater)
    expect(findStep(SECRET, code, now)).toBe(expected === undefined ? undefined : stepAt(now) + expected)
  })

  test.each(['', '12345', '1234567', 'abcdef', ' 005924'])('and never as «%s»', (code) => {
    expect(findStep(SECRET, code, now)).toBeUndefined()
  })
})

test.each([
  ['', ''],
  ['f', 'MY'],
  ['fo', 'MZXQ'],
  ['foo', 'MZXW6'],
  ['foob', 'MZXW6YQ'],
  ['fooba', 'MZXW6YTB'],
  ['foobar', 'MZXW6YTBOI'],
])('base 32 as in RFC 4648 §10, without padding: «%s»', (text, encoded) => {
  expect(toBase32(Buffer.from(text))).toBe(encoded)
})

test('a secret has 160 bits, and its URI names nothing that needs escaping twice', () => {
  const secret = createTotpSecret()
  expect(secret).toHaveLength(20)
  const uri = new URL(toKeyUri(secret, { issuer: 'Countersign', account: 'a:b?c@d.example' }))
  expect(decodeURIComponent(uri.pathname)).toBe('/Countersign:a:b?c@d.example')
  expect(uri.searchParams.get('secret')).toBe(toBase32(secret))
})
