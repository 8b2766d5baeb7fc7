import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { checkGrantClaims, type GrantClaimsContext } from '../../src/assertion/grant-claims.ts'
import { Refusal } from '../../src/errors.ts'
import { attempt } from './attempt.ts'
import { fuzz } from './inputs.ts'
import { anyJson } from './texts.ts'

const NOW = 1_700_000_000
const SKEW = 30
const LIFETIME = 3600
const ISSUER = 'https://id.example.test'
const TOKEN_ENDPOINT = `${ISSUER}/oauth/token`
const ACCOUNT = 'acc_1'
const EMAIL = 'sync@acme.id.example.test'
const CONTEXT: GrantClaimsContext = {
  issuer: {
    accountId: ACCOUNT,
    accountEmail: EMAIL,
    assertionPolicy: {
      profile: 'rfc7523',
      requireJti: false,
      maxLifetimeSeconds: LIFETIME,
      extraAudiences: [],
      clientAssertionAudience: 'issuer',
      requireDpop: false,
    },
    organizationSettings: {
      requireJti: false,
      maxKeyLifetimeDays: null,
      allowGeneratedKeys: true,
      allowApiTokens: true,
      tokenRequestsPerMinute: null,
      maxKeysPerAccount: 10,
    },
    delegation: null,
    subjectIsAccount: false,
  },
  key: { type: 'public_key' },
  audiences: { issuer: ISSUER, tokenEndpoint: TOKEN_ENDPOINT },
  now: NOW,
}

const strange = fc.oneof(anyJson, fc.constantFrom<unknown>(undefined, Number.POSITIVE_INFINITY, NOW * 1000))
const rarely = (good: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 8, arbitrary: good }, { weight: 1, arbitrary: strange })
/** Where the rules change their mind, and one step to either side, with and without a fraction. */
const offset = fc
  .tuple(
    fc.constantFrom(-LIFETIME - SKEW, -SKEW, 0, SKEW, LIFETIME, LIFETIME + SKEW),
    fc.constantFrom(-1, -0.5, 0, 0.5, 1, 7),
  )
  .map(([edge, step]) => NOW + edge + step)

const claims = fc.record({
  sub: rarely(fc.constantFrom(ACCOUNT, EMAIL)),
  aud: rarely(
    fc.constantFrom<unknown>(ISSUER, TOKEN_ENDPOINT, [ISSUER], [ISSUER, TOKEN_ENDPOINT], [], `${ISSUER}/`),
  ),
  exp: rarely(offset),
  nbf: rarely(fc.oneof(fc.constant(undefined), offset)),
  iat: rarely(fc.oneof(fc.constant(undefined), offset)),
  jti: rarely(fc.constantFrom(undefined, 'j1', '')),
  scope: rarely(fc.constantFrom(undefined, 'read')),
})

test('[7523-3.4b][7523-3.4d][7523-3.5][7523-3.6a][7523-3.6b] claims hold exactly when the rules of RFC 7523 §3 say so', () =>
  fuzz('claims', claims, (made) => {
    const verdict = attempt(() => checkGrantClaims(made, CONTEXT))
    expect(verdict instanceof Refusal ? verdict.reason : 'holds').toEqual(
      hold(made) ? 'holds' : expect.not.stringMatching('holds'),
    )
    if (verdict instanceof Refusal) return
    expect(verdict).toEqual({
      subject: ACCOUNT,
      expiresAt: Math.floor(made.exp as number),
      jti: made.jti,
      scope: made.scope,
    })
  }))

/** The rules once more, as one sentence each (conformance rows 7523-3.2 to 3.7, 7519-2). */
function hold({ sub, aud, exp, nbf, iat, jti, scope }: Record<string, unknown>): boolean {
  const audiences = Array.isArray(aud) ? aud : [aud]
  return (
    [ACCOUNT, EMAIL].includes(sub as string) &&
    audiences.length === 1 &&
    [ISSUER, TOKEN_ENDPOINT].includes(audiences[0]) &&
    isDate(exp) &&
    exp > NOW - SKEW &&
    [nbf, iat].every((time) => time === undefined || (isDate(time) && time <= NOW + SKEW)) &&
    Math.floor(exp) - ((iat as number | undefined) ?? NOW) <= LIFETIME + SKEW &&
    (jti === undefined || (typeof jti === 'string' && isPlain(jti))) &&
    (scope === undefined || typeof scope === 'string')
  )
}

function isDate(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= Date.UTC(9999, 11, 31, 23, 59, 59) / 1000
}

function isPlain(text: string): boolean {
  if (text === '' || text.length > 255 || !text.isWellFormed()) return false
  return [...text].every((character) => character >= ' ' && character !== '\u007f')
}
