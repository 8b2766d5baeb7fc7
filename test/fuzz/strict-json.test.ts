import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Refusal } from '../../src/errors.ts'
import { assertStorableText, parseStrictJson } from '../../src/http/strict-json.ts'
import { attempt } from './attempt.ts'
import { fuzz } from './inputs.ts'
import { hasOddName, spell, styles, written } from './json-texts.ts'
import { anyText, longText, mutations } from './texts.ts'

test('JSON is read as JSON.parse reads it, and refused exactly when a name stands twice or is escaped', () =>
  fuzz(
    'JSON parser',
    fc.tuple(written, styles),
    ([value, style]) => {
      const text = spell(value, style)
      const read = attempt(() => parseStrictJson(Buffer.from(text)))
      if (hasOddName(value, style)) expect((read as Refusal).reason).toBe('request_malformed')
      else expect(read).toEqual(JSON.parse(text))
    },
    { parts: 2 },
  ))

test('whatever looks like JSON is read as JSON.parse reads it, or refused', () => {
  const damaged = fc
    .tuple(written, styles, mutations)
    .map(([value, style, mutate]) => Buffer.from(mutate(spell(value, style))))
  const bytes = fc.oneof(
    { weight: 4, arbitrary: damaged },
    { weight: 2, arbitrary: fc.oneof(fc.json(), anyText).map((text) => Buffer.from(text)) },
    { weight: 1, arbitrary: longText.map((text) => Buffer.from(text.slice(0, 65_536))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((octets) => Buffer.from(octets)) },
  )
  return fuzz(
    'JSON parser',
    bytes,
    (body) => {
      const read = attempt(() => parseStrictJson(body))
      if (read instanceof Refusal) return
      expect(read).toEqual(JSON.parse(body.toString()))
      const storable = attempt(() => assertStorableText(read))
      if (storable instanceof Refusal) expect(storable.reason).toBe('input_invalid')
    },
    { parts: 2 },
  )
})
