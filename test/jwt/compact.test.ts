import { describe, expect, test } from '@jest/globals'
import { Refusal } from '../../src/errors.ts'
import { isCleanText, normalizeType, parseCompact } from '../../src/jwt/compact.ts'
import { encode } from '../support/jwt.ts'

const HEADER = encode({ alg: 'RS256', kid: 'key_1' })
const CLAIMS = encode({ iss: 'a' })
/** Two bytes: its third character has two unused bits. */
const SIGNATURE = 'AAA'

const withHeader = (header: unknown) => `${encode(header)}.${CLAIMS}.${SIGNATURE}`
const withClaims = (claims: unknown) => `${HEADER}.${encode(claims)}.${SIGNATURE}`
const bytes = (...values: number[]) => Buffer.from(values).toString('base64url')

function refusalOf(compact: string): Refusal {
  try {
    parseCompact(compact)
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error(`accepted: ${compact}`)
}

describe('a compact JWS that is taken apart', () => {
  test('gives alg, kid, typ and the claims, and nothing else of the header', () => {
    const compact = withHeader({ alg: 'RS256', kid: 'k', typ: 'JWT', jwk: { kty: 'RSA' }, iss: 'other' })
    expect(parseCompact(compact)).toEqual({
      compact,
      header: { alg: 'RS256', kid: 'k', typ: 'JWT' },
      claims: { iss: 'a' },
    })
  })

  test.each<[string, string]>([
    ['no kid and no typ', withHeader({ alg: 'none' })],
    ['an empty kid', withHeader({ alg: 'RS256', kid: '' })],
    ['a kid of 255 characters', withHeader({ alg: 'RS256', kid: 'k'.repeat(255) })],
    ['white space between JSON tokens', withClaims(' { "a" : 1 ,\n\t"b" : { "a" : 1 } } ')],
    ['no claims at all', withClaims({})],
    ['colons, braces and quotes inside strings', withClaims('{"a:{[":"}:{\\"\\\\","b":["c:d",{"a":1}]}')],
    ['names that differ only below the top level', withClaims('{"a":{"x":1},"b":{"x":1},"c":[{"x":1}]}')],
    ['two hundred claims', withClaims(Object.fromEntries([...Array(200).keys()].map((i) => [`c${i}`, i])))],
    ['text outside ASCII', withClaims('{"name":"Zoë 🔑"}')],
  ])('may have %s', (_what, compact) => {
    expect(parseCompact(compact).compact).toBe(compact)
  })

  test('never changes the prototype of an object through its names', () => {
    const { claims } = parseCompact(withClaims('{"__proto__":{"admin":true},"constructor":1,"iss":"a"}'))
    expect(Object.getPrototypeOf(claims)).toBe(Object.prototype)
    expect((claims as { admin?: boolean }).admin).toBeUndefined()
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  test('is not read through a prototype: an alg inside __proto__ is no alg', () => {
    expect(refusalOf(withHeader('{"__proto__":{"alg":"RS256"}}')).detail).toEqual({
      fact: 'alg is not a string',
    })
  })
})

const FORM = 'not three base64url parts'
const CANONICAL = 'base64url is not canonical'

describe('a compact JWS is refused', () => {
  test.each<[string, string, string]>([
    ['an empty text', '', FORM],
    ['two parts', `${HEADER}.${CLAIMS}`, FORM],
    ['four parts', `${HEADER}.${CLAIMS}.${SIGNATURE}.${SIGNATURE}`, FORM],
    ['five parts, as a JWE has', [HEADER, CLAIMS, SIGNATURE, SIGNATURE, SIGNATURE].join('.'), FORM],
    ['an empty header', `.${CLAIMS}.${SIGNATURE}`, FORM],
    ['an empty payload', `${HEADER}..${SIGNATURE}`, FORM],
    ['an empty signature', `${HEADER}.${CLAIMS}.`, FORM],
    ['a leading dot', `.${HEADER}.${CLAIMS}.${SIGNATURE}`, FORM],
    ['a trailing line feed', `${HEADER}.${CLAIMS}.${SIGNATURE}\n`, FORM],
    ['a trailing carriage return', `${HEADER}.${CLAIMS}.${SIGNATURE}\r`, FORM],
    ['a leading space', ` ${HEADER}.${CLAIMS}.${SIGNATURE}`, FORM],
    ['a space inside the signature', `${HEADER}.${CLAIMS}.A A`, FORM],
    ['a line feed inside the payload', `${HEADER}.${CLAIMS.slice(0, 4)}\n${CLAIMS.slice(4)}.AAA`, FORM],
    ['padding', `${HEADER}.${CLAIMS}.AAA=`, FORM],
    ['the other base64 alphabet, +', `${HEADER}.${CLAIMS}.A+A`, FORM],
    ['the other base64 alphabet, /', `${HEADER}.${CLAIMS}.A/A`, FORM],
    ['a NUL', `${HEADER}.${CLAIMS}.A\u0000A`, FORM],
    ['a full-width dot', `${HEADER}．${CLAIMS}．${SIGNATURE}`, FORM],
    [
      'the JSON serialization',
      JSON.stringify({ protected: HEADER, payload: CLAIMS, signature: SIGNATURE }),
      FORM,
    ],
    ['set bits after the end of the signature', `${HEADER}.${CLAIMS}.AAB`, CANONICAL],
    ['a single character after the last byte', `${HEADER}.${CLAIMS}.A`, CANONICAL],
    ['set bits after the end of the header', withHeader('{"alg":"a"}').replace('0.', '1.'), CANONICAL],
    ['a header that is an array', withHeader([]), 'header is not an object'],
    ['a header that is a string', withHeader('"alg"'), 'header is not an object'],
    ['a header that is a number', withHeader('1'), 'header is not an object'],
    ['a header that is null', withHeader('null'), 'header is not an object'],
    ['a header that is not JSON', withHeader('{alg:1}'), 'header is not JSON in UTF-8'],
    ['a header with a byte-order mark', withHeader('\ufeff{"alg":"RS256"}'), 'header is not JSON in UTF-8'],
    ['a header in UTF-16', withHeader(Buffer.from('{"alg":"a"}', 'utf16le').toString('latin1')), ''],
    ['claims that are an array', withClaims([{ iss: 'a' }]), 'claims is not an object'],
    ['claims that are a number', withClaims('1'), 'claims is not an object'],
    ['claims that are text', withClaims('iss=a'), 'claims is not JSON in UTF-8'],
    ['claims with a byte-order mark', withClaims('\ufeff{}'), 'claims is not JSON in UTF-8'],
    ['claims with two objects', withClaims('{}{}'), 'claims is not JSON in UTF-8'],
    ['claims in overlong UTF-8', `${HEADER}.${bytes(0x7b, 0xc0, 0xaf, 0x7d)}.AAA`, ''],
    ['claims in truncated UTF-8', `${HEADER}.${bytes(0x22, 0xe2, 0x82, 0x22)}.AAA`, ''],
    ['claims with a surrogate in UTF-8', `${HEADER}.${bytes(0x22, 0xed, 0xa0, 0x80, 0x22)}.AAA`, ''],
    ['alg twice', withHeader('{"alg":"none","alg":"RS256"}'), 'header has a repeated name'],
    ['alg twice, once escaped', withHeader('{"alg":"a","\\u0061lg":"b"}'), 'header has a repeated name'],
    ['sub twice', withClaims('{"sub":"victim","sub":"a"}'), 'claims has a repeated name'],
    [
      'sub twice around an object',
      withClaims('{"sub":1,"x":{"y":[{}]},"sub":2}'),
      'claims has a repeated name',
    ],
    ['__proto__ twice', withClaims('{"__proto__":1,"__proto__":2}'), 'claims has a repeated name'],
    ['no alg', withHeader({ kid: 'k' }), 'alg is not a string'],
    ['an alg that is null', withHeader({ alg: null }), 'alg is not a string'],
    ['an alg that is an array', withHeader({ alg: ['RS256'] }), 'alg is not a string'],
    ['a typ that is a number', withHeader({ alg: 'a', typ: 1 }), 'typ is not a string'],
    ['a typ that is null', withHeader({ alg: 'a', typ: null }), 'typ is not a string'],
    ['a kid that is a number', withHeader({ alg: 'a', kid: 1 }), 'kid is not a plain string'],
    ['a kid that is an object', withHeader({ alg: 'a', kid: {} }), 'kid is not a plain string'],
    ['a kid of 256 characters', withHeader({ alg: 'a', kid: 'k'.repeat(256) }), 'kid is not a plain string'],
    ['a kid with a NUL', withHeader({ alg: 'a', kid: 'k\u0000' }), 'kid is not a plain string'],
    ['a kid with a lone surrogate', withHeader('{"alg":"a","kid":"\\ud800"}'), 'kid is not a plain string'],
    ['crit', withHeader({ alg: 'a', crit: ['foo'], foo: 1 }), 'header member crit is not supported'],
    ['an empty crit', withHeader({ alg: 'a', crit: [] }), 'header member crit is not supported'],
    ['b64 false', withHeader({ alg: 'a', b64: false }), 'header member b64 is not supported'],
    ['b64 true', withHeader({ alg: 'a', b64: true }), 'header member b64 is not supported'],
    ['zip', withHeader({ alg: 'a', zip: 'DEF' }), 'header member zip is not supported'],
    ['a nested JWT', withHeader({ alg: 'a', cty: 'JWT' }), 'header member cty is not supported'],
  ])('%s', (_what, compact, fact) => {
    const refusal = refusalOf(compact)
    expect(refusal.reason).toBe('assertion_malformed')
    if (fact !== '') expect(refusal.detail).toEqual({ fact })
  })
})

test('a name means what its escapes say, whatever was parsed before', () => {
  // Node.js 24 and 26 take the second for the first from then on: nodejs/node#63785.
  const header = withClaims('{"first":1,"s\\\\u":1}')
  for (let count = 0; count < 5; count++) parseCompact(header)
  expect(parseCompact(withClaims('{"first":1,"s\\u0075b":"a"}')).claims).toEqual({ first: 1, sub: 'a' })
  expect(refusalOf(withClaims('{"first":1,"s\\u0075b":"a","sub":"b"}')).detail).toEqual({
    fact: 'claims has a repeated name',
  })
})

test('six thousand levels of nesting do not overflow it', () => {
  const depth = 6_000
  const compact = withClaims(`{"x":${'['.repeat(depth)}${']'.repeat(depth)}}`)
  expect(parseCompact(compact).compact).toBe(compact)
  expect(refusalOf(withClaims('{"x":'.repeat(depth))).reason).toBe('assertion_malformed')
})

describe('the small judgements', () => {
  test.each<[string | undefined, string | undefined]>([
    [undefined, undefined],
    ['', ''],
    ['JWT', 'jwt'],
    ['application/at+jwt', 'at+jwt'],
    ['APPLICATION/AT+JWT', 'at+jwt'],
    ['application/application/at+jwt', 'application/at+jwt'],
    [' at+jwt', ' at+jwt'],
    ['text/at+jwt', 'text/at+jwt'],
  ])('a typ of %j names the type %j', (typ, type) => {
    expect(normalizeType(typ)).toBe(type)
  })

  test.each<[unknown, boolean]>([
    ['', true],
    ['Zoë 🔑', true],
    ['12345678', true],
    ['123456789', false],
    ['a\u0000', false],
    ['a\n', false],
    ['\u007f', false],
    ['\ud800', false],
    [1, false],
    [null, false],
    [['a'], false],
  ])('whether %j is clean text of at most 8: %s', (value, expected) => {
    expect(isCleanText(value, 8)).toBe(expected)
  })
})
