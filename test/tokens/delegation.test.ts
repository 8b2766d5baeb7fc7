import { describe, expect, test } from '@jest/globals'
import type { ResourceServerAccess } from '../../src/database/queries/issuers.ts'
import { assertWithoutGroups, limitToDelegation } from '../../src/tokens/delegation.ts'
import { toGroupClaims } from '../../src/tokens/group-claims.ts'

const access = (id: string, permissions: string[]): ResourceServerAccess => ({
  id,
  identifier: `https://${id}`,
  tokenFormat: 'jwt',
  signingAlgorithm: 'ES256',
  tokenLifetimeSeconds: 900,
  senderConstraints: [],
  permissions,
})
const lent = (...entries: string[]) => ({
  subjects: ['user-*'],
  permissions: entries.map((entry) => {
    const [resourceServerId = '', permission = ''] = entry.split(' ')
    return { resourceServerId, permission }
  }),
})

describe('what an account may do for an end user', () => {
  const own = [access('a', ['read', 'write']), access('b', ['read'])]

  test.each<[string, ReturnType<typeof lent> | null, [string, string[]][]]>([
    ['no delegation', null, []],
    ['nothing lent', lent(), []],
    ['one permission of one', lent('a read'), [['a', ['read']]]],
    ['the same name of another', lent('b read'), [['b', ['read']]]],
    ['something that the account lacks', lent('b write', 'c read'), []],
    [
      'everything',
      lent('b read', 'a write', 'a read'),
      [
        ['a', ['read', 'write']],
        ['b', ['read']],
      ],
    ],
  ])('%s', (_what, delegation, expected) => {
    const limited = limitToDelegation(own, delegation)
    expect(limited.map(({ id, permissions }) => [id, permissions])).toEqual(expected)
  })

  test('has nothing to do with the account’s groups', () => {
    expect(() => assertWithoutGroups(['read', 'groups'])).toThrow('scope_not_granted')
    expect(assertWithoutGroups(['read'])).toBeUndefined()
    expect(assertWithoutGroups(undefined)).toBeUndefined()
  })
})

describe('the groups in a token', () => {
  const groups = (count: number, name = 'g') =>
    Array.from({ length: count }, (_, index) => ({ id: `grp_${index}`, name, access: 'viewer' as const }))

  test('are all of them or none', () => {
    expect(toGroupClaims({ groups: [], groupsAdministrator: null })).toEqual({ groups: [] })
    expect(toGroupClaims({ groups: groups(50), groupsAdministrator: null }).groups).toHaveLength(50)
    expect(toGroupClaims({ groups: groups(51), groupsAdministrator: null })).toEqual({
      groups_truncated: true,
    })
    expect(toGroupClaims({ groups: groups(50, 'x'.repeat(200)), groupsAdministrator: 'viewer' })).toEqual({
      groups_truncated: true,
      groups_administrator: 'viewer',
    })
  })
})
