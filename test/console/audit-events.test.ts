import { describe, expect, test } from '@jest/globals'
import { describeEntry } from '../../src/console/parts/audit-events.ts'
import type { TrailEntry } from '../../src/directory/audit-trail.ts'

const ENTRY: TrailEntry = {
  id: 'evt_1',
  at: new Date(0),
  organizationId: 'org_1',
  actorId: 'acc_ada',
  actorKind: 'administrator',
  actorName: 'Ada',
  action: 'key.created',
  targetId: 'key_1',
  targetKind: 'key',
  targetName: 'Production',
  changes: null,
  reason: null,
  count: null,
  ip: null,
  userAgent: null,
  requestId: null,
  chain: null,
}

function sentence(changes: Partial<TrailEntry>, about?: string): string {
  return describeEntry({ ...ENTRY, ...changes }, about)
    .toString()
    .replaceAll(/<[^>]*>/g, '')
}

describe('an event is a sentence', () => {
  test.each<[string, Partial<TrailEntry> & { about?: string }]>([
    ['Ada added the key Production', {}],
    ['Ada added this key', { about: 'key_1' }],
    ['This account added the key Production', { about: 'acc_ada' }],
    [
      'Ada revoked the token tok_1',
      { action: 'token.revoked', targetKind: 'token', targetName: null, targetId: 'tok_1' },
    ],
    [
      'Ada changed roles, name and expiry of the key Production',
      {
        action: 'key.updated',
        changes: {
          before: { role_ids: [], name: 'a' },
          after: { role_ids: [1], name: 'b', expires_at: null },
        },
      },
    ],
    ['Ada changed something of the key Production', { action: 'key.updated' }],
    [
      'Ada changed name of their own account',
      {
        action: 'administrator.updated',
        targetId: 'acc_ada',
        targetKind: 'administrator',
        changes: { after: { name: 'A' } },
      },
    ],
    [
      'Sync was refused a token: assertion expired, 12 times',
      {
        action: 'token.refused',
        actorKind: 'unknown',
        actorId: null,
        targetId: 'acc_1',
        targetKind: 'service_account',
        targetName: 'Sync',
        reason: 'assertion_expired',
        count: 12,
      },
    ],
    [
      'Ada got a token to act for user-7: read write',
      { action: 'token.issued', changes: { after: { scope: 'read write', subject: 'user-7' } } },
    ],
    [
      'Ada got a token: read',
      { action: 'token.issued', changes: { after: { scope: 'read', subject: 'acc_ada' } } },
    ],
    ['Ada signed in', { action: 'administrator.signed_in' }],
    ['Ada thing.from_tomorrow the key Production', { action: 'thing.from_tomorrow' }],
  ])('%s', (expected, { about, ...changes }) => {
    expect(sentence(changes, about)).toBe(expected)
  })
})
