import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import type { SigningAlgorithm, SigningKeyStatus } from '../../src/database/tables.ts'
import {
  dueAt,
  JWKS_CACHE_SECONDS,
  type KeyTurn,
  LEEWAY_SECONDS,
  MAX_TOKEN_LIFETIME_SECONDS,
  PUBLISHED_AHEAD_SECONDS,
  planMaintenance,
  planRevocation,
  planRotation,
  RELOAD_SECONDS,
  type Step,
} from '../../src/signing/lifecycle.ts'
import { parseYaml } from '../support/yaml.ts'

const NOW = Date.UTC(2026, 10, 21)
const DAY = 86_400_000
const DAYS = 90

type Ages = { id?: string; algorithm?: SigningAlgorithm; age?: number; since?: number }

/** `age` since it was made, `since` since it began to sign or stopped; milliseconds. */
function key(
  status: SigningKeyStatus,
  { id, algorithm = 'ES256', age = DAY, since = age }: Ages = {},
): KeyTurn {
  return {
    id: id ?? `${algorithm} ${status}`,
    algorithm,
    status,
    createdAt: new Date(NOW - age),
    activatedAt: status === 'next' ? null : new Date(NOW - since),
    retiredAt: status === 'retiring' ? new Date(NOW - since) : null,
  }
}

/** The two other algorithms, with nothing to do. */
const OTHERS = (['RS256', 'EdDSA'] as const).flatMap((algorithm) => [
  key('active', { algorithm }),
  key('next', { algorithm }),
])

const describeSteps = (steps: readonly Step[]) =>
  steps.map((step) =>
    step.kind === 'create' ? `create ${step.algorithm} ${step.status}` : `${step.kind} ${step.key.id}`,
  )
const maintain = (...keys: KeyTurn[]) => describeSteps(planMaintenance([...OTHERS, ...keys], NOW, DAYS))

test('a new installation gets for each algorithm a key that signs and one that stands ready', () => {
  expect(describeSteps(planMaintenance([], NOW, DAYS))).toEqual([
    'create ES256 active',
    'create ES256 next',
    'create RS256 active',
    'create RS256 next',
    'create EdDSA active',
    'create EdDSA next',
  ])
})

describe('maintenance', () => {
  test.each<[string, KeyTurn[], string[]]>([
    ['does nothing while all are young', [key('active'), key('next')], []],
    ['makes a key that stands ready', [key('active')], ['create ES256 next']],
    [
      'lets the key that stands ready sign where none does',
      [key('next')],
      ['activate ES256 next', 'create ES256 next'],
    ],
    [
      'changes a key on the day it is due',
      [key('active', { age: DAYS * DAY }), key('next')],
      ['retire ES256 active', 'activate ES256 next', 'create ES256 next'],
    ],
    ['not a moment earlier', [key('active', { age: DAYS * DAY - 1 }), key('next')], []],
    [
      'counts from the day it began to sign, not from the day it was made',
      [key('active', { age: 3 * DAYS * DAY, since: DAY }), key('next')],
      [],
    ],
    [
      'waits until the next one has been published for long enough',
      [key('active', { age: 2 * DAYS * DAY }), key('next', { age: PUBLISHED_AHEAD_SECONDS * 1000 - 1 })],
      [],
    ],
    [
      'and no longer',
      [key('active', { age: 2 * DAYS * DAY }), key('next', { age: PUBLISHED_AHEAD_SECONDS * 1000 })],
      ['retire ES256 active', 'activate ES256 next', 'create ES256 next'],
    ],
    [
      'keeps a retired key while a token of it may be valid',
      [
        key('active'),
        key('next'),
        key('retiring', { since: (MAX_TOKEN_LIFETIME_SECONDS + LEEWAY_SECONDS) * 1000 - 1 }),
      ],
      [],
    ],
    [
      'removes it afterwards',
      [
        key('active'),
        key('next'),
        key('retiring', { since: (MAX_TOKEN_LIFETIME_SECONDS + LEEWAY_SECONDS) * 1000 }),
      ],
      ['remove ES256 retiring'],
    ],
    ['leaves alone what is gone', [key('active'), key('next'), key('gone', { age: 900 * DAY })], []],
  ])('%s', (_what, keys, steps) => {
    expect(maintain(...keys)).toEqual(steps)
  })
})

describe('rotation by hand', () => {
  test('changes all algorithms at once, however young the active keys are', () => {
    const { steps, unready } = planRotation([...OTHERS, key('active', { age: 1 }), key('next')], NOW)
    expect(unready).toEqual([])
    expect(describeSteps(steps).filter((step) => step.startsWith('activate'))).toEqual([
      'activate ES256 next',
      'activate RS256 next',
      'activate EdDSA next',
    ])
  })

  test('names the keys that verifiers may not have seen yet', () => {
    const young = key('next', { age: PUBLISHED_AHEAD_SECONDS * 1000 - 1 })
    expect(planRotation([...OTHERS, key('active'), young], NOW).unready).toEqual([young])
  })
})

describe('revocation', () => {
  const keys = [...OTHERS, key('active'), key('next', { age: 0 }), key('retiring'), key('gone')]
  test.each<[string, string, string[]]>([
    [
      'of the active key lets the next one sign at once, however young it is',
      'ES256 active',
      ['revoke ES256 active', 'activate ES256 next', 'create ES256 next'],
    ],
    ['of the next key makes another', 'ES256 next', ['revoke ES256 next', 'create ES256 next']],
    ['of a retiring key needs no other', 'ES256 retiring', ['revoke ES256 retiring']],
    ['of one that is gone does nothing', 'ES256 gone', []],
    ['of an unknown one does nothing', 'sig_unknown', []],
  ])('%s', (_what, id, steps) => {
    expect(describeSteps(planRevocation(keys, id))).toEqual(steps)
  })

  test('of the active key makes one that signs where none stands ready', () => {
    expect(describeSteps(planRevocation([key('active')], 'ES256 active'))).toEqual([
      'revoke ES256 active',
      'create ES256 active',
      'create ES256 next',
    ])
  })
})

test('what is due is told of each key as maintenance will do it', () => {
  const keys = [
    key('active', { age: 10 * DAY }),
    key('next'),
    key('retiring', { since: DAY / 2 }),
    key('gone'),
  ]
  const [active, next, retiring, gone] = keys.map((entry) => dueAt(entry, keys, DAYS))
  expect(active).toBe(NOW + 80 * DAY)
  expect(next).toBe(active)
  expect(retiring).toBe(NOW - DAY / 2 + (MAX_TOKEN_LIFETIME_SECONDS + LEEWAY_SECONDS) * 1000)
  expect(gone).toBeUndefined()
  expect(describeSteps(planMaintenance([...OTHERS, ...keys], (active ?? 0) - 1, DAYS))).not.toContain(
    'activate ES256 next',
  )
  expect(describeSteps(planMaintenance([...OTHERS, ...keys], active ?? 0, DAYS))).toContain(
    'activate ES256 next',
  )
})

test('a key is published ahead for longer than any cache of it lives, and kept for longer than any token', () => {
  expect(PUBLISHED_AHEAD_SECONDS).toBeGreaterThan(JWKS_CACHE_SECONDS + RELOAD_SECONDS)
  const { components } = parseYaml(readFileSync('openapi.yaml', 'utf8'))
  expect(components.schemas.TokenLifetimeSeconds.maximum).toBe(MAX_TOKEN_LIFETIME_SECONDS)
})
