import { describe, expect, test } from '@jest/globals'
import {
  checkGrantClaims,
  type GrantClaims,
  type GrantClaimsContext,
} from '../../src/assertion/grant-claims.ts'
import { Refusal } from '../../src/errors.ts'

const NOW = 1_700_000_000
const ISSUER = 'https://id.example.test'
const TOKEN_ENDPOINT = `${ISSUER}/oauth/token`
const ACCOUNT = 'acc_1'
const EMAIL = 'sync@acme.id.example.test'

const POLICY = {
  profile: 'rfc7523' as const,
  requireJti: false,
  maxLifetimeSeconds: 3600,
  extraAudiences: [],
  clientAssertionAudience: 'issuer' as const,
  requireDpop: false,
}

type Changes = {
  policy?: Partial<GrantClaimsContext['issuer']['assertionPolicy']>
  requireJti?: boolean
  keyType?: 'rsa' | 'public_key'
  skewSeconds?: number
  delegation?: GrantClaimsContext['issuer']['delegation']
  subjectIsAccount?: boolean
}

function contextWith(changes: Changes = {}): GrantClaimsContext {
  const { policy, requireJti, keyType, skewSeconds, delegation, subjectIsAccount } = changes
  return {
    issuer: {
      accountId: ACCOUNT,
      accountEmail: EMAIL,
      assertionPolicy: { ...POLICY, ...policy },
      organizationSettings: {
        requireJti: requireJti ?? false,
        maxKeyLifetimeDays: null,
        allowGeneratedKeys: true,
        allowApiTokens: true,
        tokenRequestsPerMinute: null,
        maxKeysPerAccount: 10,
      },
      delegation: delegation ?? null,
      subjectIsAccount: subjectIsAccount ?? false,
    },
    key: { type: keyType ?? 'public_key' },
    audiences: { issuer: ISSUER, tokenEndpoint: TOKEN_ENDPOINT },
    now: NOW,
    ...(skewSeconds === undefined ? {} : { skewSeconds }),
  }
}

/** Good claims with some changed; undefined removes one, as it would from JSON. */
function claimsWith(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const good = { iss: ACCOUNT, sub: ACCOUNT, aud: ISSUER, iat: NOW, exp: NOW + 300, jti: 'j1' }
  return { ...good, ...changes }
}

function judge(changes: Record<string, unknown>, context: Changes = {}): GrantClaims | string {
  try {
    return checkGrantClaims(claimsWith(changes), contextWith(context))
  } catch (error) {
    if (error instanceof Refusal) return error.reason
    throw error
  }
}

describe('claims that hold', () => {
  test('say who, until when, the jti and the scope', () => {
    expect(judge({ scope: 'read write' })).toEqual({
      subject: ACCOUNT,
      expiresAt: NOW + 300,
      jti: 'j1',
      scope: 'read write',
    })
  })

  test.each<[string, Record<string, unknown>, Changes]>([
    ['the email as sub', { sub: EMAIL }, {}],
    ['no sub under the google profile', { sub: undefined }, { policy: { profile: 'google' } }],
    ['the token endpoint as aud', { aud: TOKEN_ENDPOINT }, {}],
    ['an aud array of one', { aud: [TOKEN_ENDPOINT] }, {}],
    [
      'an extra audience, with a key made here',
      { aud: 'x' },
      { policy: { extraAudiences: ['x'] }, keyType: 'rsa' },
    ],
    ['an exp 29 seconds ago', { iat: undefined, exp: NOW - 29 }, {}],
    ['an exp at the longest life and skew', { exp: NOW + 3630 }, {}],
    ['an exp one second ahead and no skew', { exp: NOW + 1 }, { skewSeconds: 0 }],
    ['an nbf and iat 30 seconds ahead', { nbf: NOW + 30, iat: NOW + 30 }, {}],
    ['an nbf of now and no skew', { nbf: NOW, iat: NOW }, { skewSeconds: 0 }],
    ['an iat an hour ago', { iat: NOW - 3590, exp: NOW + 10 }, {}],
    ['no iat', { iat: undefined, exp: NOW + 3600 }, {}],
    ['no jti', { jti: undefined }, {}],
    ['a jti of 255 characters', { jti: 'j'.repeat(255) }, {}],
    ['an empty scope', { scope: '' }, {}],
    ['claims that nobody knows', { prn: 'x', azp: {}, target_audience: [], __proto__x: null }, {}],
  ])('%s is accepted', (_what, changes, context) => {
    expect(judge(changes, context)).toMatchObject({ subject: ACCOUNT })
  })

  test('[7519-2-1] a fractional exp is kept as the whole second below it', () => {
    expect(judge({ exp: NOW + 60.9, iat: NOW - 0.25 })).toMatchObject({ expiresAt: NOW + 60 })
  })
})

describe('the subject of a delegation', () => {
  const delegation = { subjects: ['user-*', 'root', 'acc_*'], permissions: [] }

  test.each(['user-1', 'user-', 'user-a@b.example', 'root', `user-${'x'.repeat(250)}`])('is %s', (sub) => {
    expect(judge({ sub }, { delegation })).toMatchObject({ subject: sub })
    expect(judge({ sub })).toBe('subject_not_allowed')
  })

  test.each([
    'User-1',
    'roots',
    'roo',
    'root ',
    'user-*',
    'user-\u00fc',
    'user-\u0000',
    'acc_2',
    'ACC_2',
    'aCC_root',
    '',
    `user-${'x'.repeat(251)}`,
  ])('is not %j', (sub) => {
    expect(judge({ sub }, { delegation })).toBe('subject_not_allowed')
  })

  test('is the account itself when it names that, and never another one by its email', () => {
    expect(judge({ sub: EMAIL }, { delegation })).toMatchObject({ subject: ACCOUNT })
    const everybody = { delegation: { subjects: ['*'], permissions: [] } }
    expect(judge({ sub: 'b@c.example' }, everybody)).toMatchObject({ subject: 'b@c.example' })
    expect(judge({ sub: 'b@c.example' }, { ...everybody, subjectIsAccount: true })).toBe(
      'subject_not_allowed',
    )
    const host = new URL(ISSUER).hostname
    for (const sub of [`b@c.${host}`, `B@C.${host.toUpperCase()}`, `a@b@c.${host}`])
      expect(judge({ sub }, everybody)).toBe('subject_not_allowed')
    for (const sub of [`b@${host}`, `b@c.d.${host}`, `b@c.${host}.example`, `c.${host}`])
      expect(judge({ sub }, everybody)).toMatchObject({ subject: sub })
  })
})

describe('claims that do not hold', () => {
  test.each<[string, Record<string, unknown>, string, Changes?]>([
    ['no sub', { sub: undefined }, 'claim_malformed'],
    ['a sub of null', { sub: null }, 'claim_malformed'],
    [
      'a sub of null under the google profile',
      { sub: null },
      'claim_malformed',
      { policy: { profile: 'google' } },
    ],
    ['a number as sub', { sub: 1 }, 'claim_malformed'],
    ['an array as sub', { sub: [ACCOUNT] }, 'claim_malformed'],
    ['an empty sub', { sub: '' }, 'subject_not_allowed', { policy: { profile: 'google' } }],
    ['another account as sub', { sub: 'acc_2' }, 'subject_not_allowed'],
    [
      'another sub under the google profile',
      { sub: 'x' },
      'subject_not_allowed',
      { policy: { profile: 'google' } },
    ],
    ['a sub in another case', { sub: 'ACC_1' }, 'subject_not_allowed'],
    ['a sub with a NUL', { sub: `${ACCOUNT}\u0000` }, 'subject_not_allowed'],
    ['a sub with a lone surrogate', { sub: '\ud800' }, 'subject_not_allowed'],
    ['no aud', { aud: undefined }, 'audience_mismatch'],
    ['an aud of null', { aud: null }, 'audience_mismatch'],
    ['an empty aud array', { aud: [] }, 'audience_mismatch'],
    ['an object as aud', { aud: { 0: ISSUER, length: 1 } }, 'audience_mismatch'],
    ['a nested aud array', { aud: [[ISSUER]] }, 'audience_mismatch'],
    ['two fitting values of aud', { aud: [ISSUER, TOKEN_ENDPOINT] }, 'audience_mismatch'],
    ['the same value of aud twice', { aud: [ISSUER, ISSUER] }, 'audience_mismatch'],
    ['a fitting value of aud beside a number', { aud: [1, ISSUER] }, 'audience_mismatch'],
    ['a trailing slash in aud', { aud: `${ISSUER}/` }, 'audience_mismatch'],
    ['an aud in upper case', { aud: ISSUER.toUpperCase() }, 'audience_mismatch'],
    ['the default port in aud', { aud: 'https://id.example.test:443' }, 'audience_mismatch'],
    ['an extra audience of another', { aud: 'x' }, 'audience_mismatch'],
    [
      'an extra audience, with a key that may be registered elsewhere',
      { aud: 'x' },
      'audience_mismatch',
      { policy: { extraAudiences: ['x'] }, keyType: 'public_key' },
    ],
    ['no exp', { exp: undefined }, 'claim_malformed'],
    ['an exp 30 seconds ago', { exp: NOW - 30 }, 'assertion_expired'],
    [
      '[7523-3.4c] an exp of exactly now, with no skew',
      { exp: NOW },
      'assertion_expired',
      { skewSeconds: 0 },
    ],
    ['an exp past the longest life', { exp: NOW + 3631 }, 'assertion_lifetime_too_long'],
    ['an exp past it, without iat', { iat: undefined, exp: NOW + 3631 }, 'assertion_lifetime_too_long'],
    ['a life that began long ago', { iat: NOW - 3000, exp: NOW + 3500 }, 'assertion_lifetime_too_long'],
    ['an iat two days ago', { iat: NOW - 172_800, exp: NOW + 60 }, 'assertion_lifetime_too_long'],
    [
      "a life above the account's own limit",
      { exp: NOW + 91 },
      'assertion_lifetime_too_long',
      { policy: { maxLifetimeSeconds: 60 } },
    ],
    ['an nbf 31 seconds ahead', { nbf: NOW + 31 }, 'assertion_not_yet_valid'],
    ['an iat 31 seconds ahead', { iat: NOW + 31 }, 'assertion_not_yet_valid'],
    ['an nbf one second ahead and no skew', { nbf: NOW + 1 }, 'assertion_not_yet_valid', { skewSeconds: 0 }],
    ['no jti where the account must', { jti: undefined }, 'jti_required', { policy: { requireJti: true } }],
    ['no jti where the organization must', { jti: undefined }, 'jti_required', { requireJti: true }],
    ['an empty jti', { jti: '' }, 'claim_malformed'],
    ['a number as jti', { jti: 1 }, 'claim_malformed'],
    ['a jti of null', { jti: null }, 'claim_malformed'],
    ['a jti of 256 characters', { jti: 'j'.repeat(256) }, 'claim_malformed'],
    ['a jti with a NUL', { jti: 'a\u0000b' }, 'claim_malformed'],
    ['a jti with a lone surrogate', { jti: '\ud800' }, 'claim_malformed'],
    ['an array as scope', { scope: ['read'] }, 'claim_malformed'],
    ['a scope of null', { scope: null }, 'claim_malformed'],
  ])('%s is refused', (_what, changes, reason, ...[context]) => {
    expect(judge(changes, context)).toBe(reason)
  })

  const NOT_A_NUMERIC_DATE = ['1700000100', '', true, null, {}, [NOW], -1, 0, -0, NOW * 1000, 1e308]
  test.each(
    ['exp', 'nbf', 'iat'].flatMap((claim) =>
      [...NOT_A_NUMERIC_DATE, Number.POSITIVE_INFINITY, 12345678901234567890n.toString(), 1e15].map(
        (value) => [claim, value] as const,
      ),
    ),
  )('%s of %j is refused as malformed', (claim, value) => {
    expect(judge({ [claim]: value })).toBe('claim_malformed')
  })

  test('what the log is told of a huge claim is short', () => {
    const huge = 'x'.repeat(10_000)
    for (const aud of [huge, Array(1000).fill(huge), { huge }]) {
      try {
        checkGrantClaims(claimsWith({ aud }), contextWith())
        expect('accepted').toBe('refused')
      } catch (error) {
        expect(JSON.stringify((error as Refusal).detail.received).length).toBeLessThan(700)
      }
    }
  })
})
