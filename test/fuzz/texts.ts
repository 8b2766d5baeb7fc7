import fc from 'fast-check'

/** What has broken some parser before: separators, escapes, other alphabets, names with a meaning in JavaScript. */
const AWKWARD = [
  '',
  ' ',
  '\t',
  '\r\n',
  '\u0000',
  'a\u0000b',
  '\u007f',
  '\ufeff',
  '\u202e',
  '\ud800',
  '\udc00a',
  '\u{10ffff}',
  '٣',
  'ﬀ',
  'İ',
  '👩‍🚀',
  '"',
  '\\',
  "'; drop table keys;--",
  '../..',
  '%',
  '%2',
  '%00',
  '%ff',
  '%c0%80',
  '+',
  '&',
  '=',
  '{}',
  '[]',
  'null',
  'undefined',
  'NaN',
  '-1',
  '1e999',
  '__proto__',
  'constructor',
  'toString',
]

/** One short text many times over: what a regular expression or a loop must not take long for. */
export const longText = fc
  .tuple(
    fc.oneof(fc.string({ minLength: 1, maxLength: 4 }), fc.constantFrom(...AWKWARD)),
    fc.nat({ max: 130_000 }),
    fc.string({ maxLength: 2 }),
  )
  .map(([unit, length, end]) => unit.repeat(Math.ceil(length / Math.max(unit.length, 1))) + end)

/** Any text that JavaScript can hold, lone surrogates and NUL among it. */
export const anyText = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 40 }) },
  { weight: 4, arbitrary: fc.string({ maxLength: 40 }) },
  { weight: 6, arbitrary: fc.constantFrom(...AWKWARD) },
)

/** Text that has a UTF-8 form. */
export const wellFormedText = anyText.filter((text) => text.isWellFormed())

/** Text that a form can hold: no NUL. */
export const formText = wellFormedText.filter((text) => !text.includes('\0'))

/** Any JSON value, with awkward texts in it. */
export const anyJson = fc.oneof(
  { weight: 3, arbitrary: anyText },
  {
    weight: 3,
    arbitrary: fc.oneof(
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, -0, 1, 2048, 1e15, 1e308, -1, 2 ** 31, 2 ** 53, 0.5),
    ),
  },
  { weight: 2, arbitrary: fc.constantFrom(true, false, null) },
  { weight: 1, arbitrary: fc.array(anyText, { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.dictionary(anyText, anyText, { maxKeys: 4 }) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }) },
)

type Change = (text: string) => string

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.='
const position = fc.nat()

/** One change to a text: what an attacker, a proxy or a broken client could do to it. */
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(position, fc.string({ unit: 'binary', maxLength: 3 })).map(
    ([at, insert]): Change =>
      (text) =>
        splice(text, at, 0, insert),
  ),
  fc.tuple(position, fc.string({ unit: fc.constantFrom(...BASE64URL), minLength: 1, maxLength: 3 })).map(
    ([at, replacement]): Change =>
      (text) =>
        splice(text, at, replacement.length, replacement),
  ),
  fc.tuple(position, fc.integer({ min: 1, max: 40 })).map(
    ([at, length]): Change =>
      (text) =>
        splice(text, at, length, ''),
  ),
  fc.tuple(position, position).map(
    ([one, other]): Change =>
      (text) =>
        swap(text, one, other),
  ),
  position.map(
    (at): Change =>
      (text) =>
        text.slice(0, at % (text.length + 1)),
  ),
  position.map(
    (at): Change =>
      (text) =>
        text + text.slice(at % (text.length + 1)),
  ),
  position.map(
    (at): Change =>
      (text) =>
        flipCase(text, at),
  ),
  fc.shuffledSubarray([0, 1, 2], { minLength: 1 }).map(
    (order): Change =>
      (text) =>
        order.map((part) => text.split('.')[part] ?? '').join('.'),
  ),
  fc.constantFrom<Change>(
    (text) => encodeURIComponent(text.toWellFormed()).replaceAll('.', '%2E'),
    (text) => text.replaceAll('-', '+').replaceAll('_', '/'),
    (text) => `Bearer ${text}`,
    (text) => `"${text}"`,
    (text) => [...text].reverse().join(''),
  ),
)

/** One to four changes to a text, in turn. */
export const mutations = fc.array(change, { minLength: 1, maxLength: 4 }).map(
  (changes): Change =>
    (text) =>
      changes.reduce((current, apply) => apply(current).slice(0, 40_000), text),
)

function splice(text: string, at: number, remove: number, insert: string): string {
  const start = at % (text.length + 1)
  return text.slice(0, start) + insert + text.slice(start + remove)
}

function swap(text: string, one: number, other: number): string {
  if (text.length === 0) return text
  const characters = text.split('')
  const [a, b] = [one % text.length, other % text.length]
  ;[characters[a], characters[b]] = [characters[b]!, characters[a]!]
  return characters.join('')
}

function flipCase(text: string, at: number): string {
  const start = at % (text.length + 1)
  const character = text[start] ?? ''
  const lower = character.toLowerCase()
  return splice(text, start, character.length, character === lower ? character.toUpperCase() : lower)
}
