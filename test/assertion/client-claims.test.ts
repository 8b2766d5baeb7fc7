import { describe, expect, test } from '@jest/globals'
import { type ClientClaimsContext, checkClientClaims } from '../../src/assertion/client-claims.ts'
import { Refusal } from '../../src/errors.ts'

const NOW = 1_700_000_000
const ISSUER = 'https://id.example.test'
const CONTEXT: ClientClaimsContext = {
  names: ['acc_1', 'sync@acme.id.example.test'],
  audiences: [ISSUER],
  maxLifetimeSeconds: 3600,
  now: NOW,
}
const GOOD = { iss: 'acc_1', sub: 'acc_1', aud: ISSUER, iat: NOW, exp: NOW + 60, jti: 'j' }

function verdictOf(changes: object, context: Partial<ClientClaimsContext> = {}): unknown {
  try {
    return checkClientClaims({ ...GOOD, ...changes }, { ...CONTEXT, ...context })
  } catch (error) {
    if (error instanceof Refusal) return error.reason
    throw error
  }
}

test('a good client assertion yields its jti, its expiry and the audience that it named', () => {
  expect(verdictOf({ exp: NOW + 60.9, aud: [ISSUER] })).toEqual({
    jti: 'j',
    expiresAt: NOW + 60,
    audience: ISSUER,
  })
  const both = { audiences: [ISSUER, `${ISSUER}/oauth/token`] }
  expect(verdictOf({ aud: `${ISSUER}/oauth/token` }, both)).toMatchObject({
    audience: `${ISSUER}/oauth/token`,
  })
})

test('the client may be called by either of its names, and by no other', () => {
  for (const sub of CONTEXT.names) expect(verdictOf({ sub })).toMatchObject({ jti: 'j' })
  for (const sub of ['acc_2', 'ACC_1', '', 'user-1']) expect(verdictOf({ sub })).toBe('subject_not_allowed')
})

test('the first fault is told: subject, audience, expiry, begin, life time, jti', () => {
  const faults: [object, string][] = [
    [{ sub: 1 }, 'claim_malformed'],
    [{ aud: 'x' }, 'audience_mismatch'],
    [{ exp: NOW - 31 }, 'assertion_expired'],
    [{ nbf: NOW + 31 }, 'assertion_not_yet_valid'],
    [{ exp: NOW + 3631 }, 'assertion_lifetime_too_long'],
    [{ jti: undefined }, 'jti_required'],
  ]
  faults.forEach(([fault, reason], index) => {
    const worse = Object.assign({}, ...faults.slice(index).map(([later]) => later), fault)
    const told = verdictOf(worse)
    // A life time is too long only of what has not expired.
    expect({ fault, told }).toEqual({ fault, told: reason })
  })
})

describe('without any skew', () => {
  test('[7523-3.4c] an assertion is good strictly before its exp', () => {
    const strict = { skewSeconds: 0 }
    expect(verdictOf({ iat: NOW - 60, exp: NOW }, strict)).toBe('assertion_expired')
    expect(verdictOf({ iat: NOW - 60, exp: NOW + 1 }, strict)).toMatchObject({ jti: 'j' })
  })
})
