import { describe, expect, test } from '@jest/globals'
import {
  describeSignIn,
  drawAdministratorState,
  drawSecondFactor,
} from '../../src/console/screens/administrators.ts'
import type { Administrator } from '../../src/database/queries/administrators.ts'

const NOW = Date.UTC(2026, 10, 22)
const inHours = (hours: number) => new Date(NOW + hours * 3_600_000)
const somebody = (changes: Partial<Administrator>) =>
  ({
    status: 'active',
    hasPassword: true,
    hasSecondFactor: false,
    isLinked: false,
    invitationExpiresAt: null,
    ...changes,
  }) as Administrator
const wordsOf = (markup: unknown) => String(markup).replaceAll(/<[^>]*>/g, '')

describe('how somebody stands', () => {
  test.each([
    ['active', {}],
    ['active', { hasPassword: false, isLinked: true }],
    ['must choose a password', { hasPassword: false, invitationExpiresAt: inHours(1) }],
    ['invited', { status: 'invited' as const, hasPassword: false, invitationExpiresAt: inHours(1) }],
    [
      'invitation expired',
      { status: 'invited' as const, hasPassword: false, invitationExpiresAt: inHours(0) },
    ],
    ['invitation expired', { status: 'invited' as const, hasPassword: false }],
    ['disabled', { status: 'disabled' as const }],
  ])('%s: %j', (words, changes) => {
    expect(wordsOf(drawAdministratorState(somebody(changes), NOW))).toBe(words)
  })
})

describe('how somebody signs in', () => {
  test.each([
    ['Password', 'off', {}],
    ['Password', 'on', { hasSecondFactor: true }],
    ['Password or single sign-on', 'off', { isLinked: true }],
    ['Single sign-on', 'the provider’s', { hasPassword: false, isLinked: true }],
    ['Not yet', 'not yet', { hasPassword: false }],
    ['Not yet', 'on', { hasPassword: false, hasSecondFactor: true }],
  ])('%s, second factor %s: %j', (method, secondFactor, changes) => {
    expect(describeSignIn(somebody(changes))).toBe(method)
    expect(wordsOf(drawSecondFactor(somebody(changes)))).toBe(secondFactor)
  })
})
