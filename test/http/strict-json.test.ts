import { describe, expect, test } from '@jest/globals'
import { assertStorableText, parseStrictJson } from '../../src/http/strict-json.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('strict JSON', () => {
  test.each([
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"\\u0061":1}',
    '[{"x":{"a\\"b":1}}]',
    '[{"x":{"b":[],"c":0,"b":1}}]',
    '{"a\\"b":1,"a\\"b":2}',
    '{"":0,"":0}',
    '\ufeff{}',
    '{"a":1,}',
    '',
    'undefined',
  ])('refuses %j', (text) => {
    expect(() => parseStrictJson(bytes(text))).toThrow('request_malformed')
  })

  test.each(['{"a":{"a":1},"b":["a","a"]}', '[{"a":1},{"a":1}]', '{"a":"a\\\\","b":":"}'])(
    'takes %j',
    (text) => {
      expect(parseStrictJson(bytes(text))).toEqual(JSON.parse(text))
    },
  )

  test('is not led astray by depth', () => {
    const deep = '['.repeat(30_000) + ']'.repeat(30_000)
    const value = parseStrictJson(bytes(deep))
    expect(() => assertStorableText(value)).not.toThrow()
  })
})

test('text that PostgreSQL cannot store is pointed at, wherever it stands', () => {
  const body = { ok: 'fine', list: ['x', 'a\u0000b'], 'a/b~c': { lone: '\ud800' } }
  try {
    assertStorableText(body)
    throw new Error('not refused')
  } catch (error) {
    const { faults } = (error as { told: { faults: { pointer: string }[] } }).told
    expect(faults.map((fault) => fault.pointer).sort()).toEqual(['/a~1b~0c/lone', '/list/1'])
  }
})
