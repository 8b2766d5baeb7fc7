import fc from 'fast-check'
import { anyText } from './texts.ts'

/** A JSON value as its author writes it: an object is a list of members, whose names may repeat. */
export type Written =
  | { kind: 'leaf'; text: string }
  | { kind: 'list'; items: readonly Written[] }
  | { kind: 'object'; members: readonly Member[] }
export type Member = readonly [name: string, value: Written]

const leaf = fc
  .oneof(
    anyText.map((text) => JSON.stringify(text)),
    fc.constantFrom('0', '-0', '1e3', '0.5', '1e400', '12345678901234567890', 'true', 'false', 'null', '""'),
    fc.integer().map(String),
  )
  .map((text): Written => ({ kind: 'leaf', text }))
const name = fc.oneof(fc.constantFrom('a', 'b', '', '__proto__', 'iss', '"', ':', '{'), anyText)

/** Any JSON value, two levels of lists and objects at most. */
export const written: fc.Arbitrary<Written> = fc.letrec<{ value: Written; list: Written; object: Written }>(
  (tie) => ({
    value: fc.oneof({ maxDepth: 2, depthSize: 'small' }, leaf, tie('list'), tie('object')),
    list: fc.array(tie('value'), { maxLength: 4 }).map((items): Written => ({ kind: 'list', items })),
    object: fc
      .array(fc.tuple(name, tie('value')), { maxLength: 5 })
      .map((members): Written => ({ kind: 'object', members })),
  }),
).value

export const members: fc.Arbitrary<readonly Member[]> = fc.array(fc.tuple(name, written), { maxLength: 5 })

/** How it is spelled where JSON leaves a choice. */
export type Style = { space: string; escapesNames: boolean }
export const styles: fc.Arbitrary<Style> = fc.record({
  space: fc.constantFrom('', '', ' ', '\n', '\t \r\n'),
  escapesNames: fc.boolean(),
})

/** The text of a value. */
export function spell(value: Written, style: Style): string {
  const join = (parts: string[]) => parts.join(`${style.space},${style.space}`)
  switch (value.kind) {
    case 'leaf':
      return value.text
    case 'list':
      return `[${style.space}${join(value.items.map((item) => spell(item, style)))}${style.space}]`
    case 'object': {
      const texts = value.members.map(
        ([key, inner], index) =>
          `${spellName(key, style, index)}${style.space}:${style.space}${spell(inner, style)}`,
      )
      return `{${style.space}${join(texts)}${style.space}}`
    }
  }
}

/** Whether a name stands twice in one list of members. */
export function repeats(list: readonly Member[]): boolean {
  return new Set(list.map(([key]) => key)).size < list.length
}

/** Whether a name, anywhere, stands twice in its object or is written with an escape. */
export function hasOddName(value: Written, style: Style): boolean {
  switch (value.kind) {
    case 'leaf':
      return false
    case 'list':
      return value.items.some((item) => hasOddName(item, style))
    case 'object':
      return (
        repeats(value.members) ||
        value.members.some(([key, inner], index) => {
          return spellName(key, style, index).includes('\\') || hasOddName(inner, style)
        })
      )
  }
}

/** Every other name escaped, where the style wants it: equal names must be known under both spellings. */
function spellName(key: string, { escapesNames }: Style, index: number): string {
  if (!escapesNames || index % 2 === 0) return JSON.stringify(key)
  const units = key.split('').map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return `"${units.join('')}"`
}
