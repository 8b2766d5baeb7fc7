import { describe, expect, test } from '@jest/globals'
import type { ResourceServerAccess } from '../../src/database/queries/issuers.ts'
import { Refusal } from '../../src/errors.ts'
import { requestedScope } from '../../src/tokens/scope.ts'
import { resolveTarget } from '../../src/tokens/target.ts'

const access = (identifier: string, permissions: string[]): ResourceServerAccess => ({
  id: identifier,
  identifier,
  tokenFormat: 'jwt',
  signingAlgorithm: 'ES256',
  tokenLifetimeSeconds: 900,
  senderConstraints: [],
  permissions,
})
const a = access('https://a', ['read', 'write'])
const b = access('https://b', ['read', 'list'])

function reasonOf(run: () => unknown): string {
  try {
    return JSON.stringify(run())
  } catch (error) {
    return error instanceof Refusal ? error.reason : String(error)
  }
}

describe('audience and scope of a token', () => {
  test.each<[string, ResourceServerAccess[], string[], string[] | undefined, string, string[]]>([
    ['the only resource server, all its permissions', [a], [], undefined, 'https://a', ['read', 'write']],
    ['the named one, all its permissions', [a, b], ['https://b'], undefined, 'https://b', ['read', 'list']],
    ['the only one that fits the scope', [a, b], [], ['list'], 'https://b', ['list']],
    [
      'the requested scope in the requested order',
      [a],
      [],
      ['write', 'read'],
      'https://a',
      ['write', 'read'],
    ],
  ])('%s', (_name, accesses, resources, scope, audience, granted) => {
    const target = resolveTarget(accesses, resources, scope)
    expect(target.resourceServer.identifier).toBe(audience)
    expect(target.scope).toEqual(granted)
  })

  test.each<[string, ResourceServerAccess[], string[], string[] | undefined, string]>([
    ['nothing granted anywhere', [], [], undefined, 'scope_not_granted'],
    ['no resource server has all of the scope', [a, b], [], ['write', 'list'], 'scope_not_granted'],
    [
      'the named one lacks a part of the scope',
      [a, b],
      ['https://b'],
      ['read', 'write'],
      'scope_not_granted',
    ],
    ['several fit', [a, b], [], ['read'], 'target_ambiguous'],
    ['several, no scope', [a, b], [], undefined, 'target_ambiguous'],
    ['two named', [a, b], ['https://a', 'https://b'], undefined, 'target_ambiguous'],
    ['an unknown one', [a], ['https://c'], undefined, 'target_not_allowed'],
    ['a trailing slash', [a], ['https://a/'], undefined, 'target_not_allowed'],
    ['another case', [a], ['https://A'], undefined, 'target_not_allowed'],
    ['a path', [a], ['/x'], undefined, 'target_malformed'],
    ['a word', [a], ['foo'], undefined, 'target_malformed'],
    ['a fragment', [a], ['https://a#f'], undefined, 'target_malformed'],
    ['an empty fragment', [a], ['https://a#'], undefined, 'target_malformed'],
    ['no scheme', [a], ['://a'], undefined, 'target_malformed'],
  ])('%s is refused', (_name, accesses, resources, scope, reason) => {
    expect(reasonOf(() => resolveTarget(accesses, resources, scope))).toBe(reason)
  })

  test('an account that may do nothing at all is told so', () => {
    const hint = 'The account has no permission yet. Give it a role or a permission.'
    expect(() => resolveTarget([], [], undefined)).toThrow(expect.objectContaining({ told: { hint } }))
  })
})

describe('the scope that a grant asks for', () => {
  test.each<[string | undefined, string | undefined, string]>([
    [undefined, undefined, 'undefined'],
    ['a b a', undefined, '["a","b"]'],
    [undefined, 'a b', '["a","b"]'],
    ['a', 'a b', '["a"]'],
    ['a c', 'a b', 'scope_not_granted'],
    ['a  b', undefined, 'scope_malformed'],
    [' a', undefined, 'scope_malformed'],
    ['a ', undefined, 'scope_malformed'],
    ['a\tb', undefined, 'scope_malformed'],
    ['a"', undefined, 'scope_malformed'],
    ['a\\', undefined, 'scope_malformed'],
    ['é', undefined, 'scope_malformed'],
    ['a', 'b"', 'scope_malformed'],
    ['a', '', '["a"]'],
  ])('form %j, assertion %j → %s', (form, assertion, expected) => {
    expect(String(reasonOf(() => requestedScope(form, assertion)))).toBe(expected)
  })
})
