import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Refusal } from '../../src/errors.ts'
import { parseScope, requestedScope } from '../../src/tokens/scope.ts'
import { attempt } from './attempt.ts'
import { fuzz } from './inputs.ts'
import { anyText, longText } from './texts.ts'

const character = fc.constantFrom(
  'a',
  'B',
  '!',
  '#',
  '[',
  ']',
  '~',
  ':',
  '"',
  '\\',
  '\u007f',
  'é',
  '\t',
  '\n',
)
const tokens = fc.array(fc.string({ unit: character, maxLength: 4 }), { maxLength: 6 })
const scopes = fc.oneof(
  { weight: 4, arbitrary: tokens.map((names) => names.join(' ')) },
  { weight: 2, arbitrary: anyText },
  { weight: 1, arbitrary: longText },
)

test('[6749-3.3-1] a scope is what the grammar of RFC 6749 says and nothing else', () =>
  fuzz('scope grammar', scopes, (scope) => {
    const parsed = attempt(() => parseScope(scope))
    if (isScope(scope)) expect(parsed).toEqual([...new Set(scope.split(' '))])
    else expect((parsed as Refusal).reason).toBe('scope_malformed')
  }))

test('[6749-3.3-4] a form asks for no more than the assertion allows, in its own order', () => {
  const name = fc.constantFrom('read', 'write', 'admin', 'READ', 'a:b')
  const list = fc.option(
    fc.oneof(
      fc.array(name, { minLength: 1, maxLength: 5 }).map((names) => names.join(' ')),
      scopes,
    ),
    { nil: undefined },
  )
  return fuzz('requested scope', fc.tuple(list, list), ([asked, signed]) => {
    const granted = attempt(() => requestedScope(asked, signed))
    // An empty claim says nothing; an empty parameter never comes so far.
    const ceiling = signed === '' ? undefined : signed
    const isSound = [asked, ceiling].every((scope) => scope === undefined || isScope(scope))
    const names = (scope: string | undefined) => [...new Set(scope?.split(' '))]
    if (!isSound) expect((granted as Refusal).reason).toBe('scope_malformed')
    else if (asked === undefined) expect(granted).toEqual(ceiling === undefined ? undefined : names(ceiling))
    else if (ceiling === undefined || names(asked).every((scope) => names(ceiling).includes(scope)))
      expect(granted).toEqual(names(asked))
    else expect((granted as Refusal).reason).toBe('scope_not_granted')
  })
})

/**
 * RFC 6749 Appendix A.4, said another way than the server says it:
 * `scope = scope-token *( SP scope-token )`, `scope-token = 1*NQCHAR`, `NQCHAR = %x21 / %x23-5B / %x5D-7E`.
 */
function isScope(value: string): boolean {
  return value.split(' ').every((token) => token !== '' && [...token].every(isNqchar))
}

function isNqchar(text: string): boolean {
  const code = text.codePointAt(0) ?? 0
  return code >= 0x21 && code <= 0x7e && code !== 0x22 && code !== 0x5c
}
