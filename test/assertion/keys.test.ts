import { describe, expect, test } from '@jest/globals'
import { requireCandidates } from '../../src/assertion/keys.ts'
import type { IssuerKey } from '../../src/database/queries/issuers.ts'
import { Refusal } from '../../src/errors.ts'
import type { UnverifiedJwt } from '../../src/jwt/compact.ts'

const NOW = 1_700_000_000_000

const key = (id: string, changes: Partial<IssuerKey> = {}): IssuerKey => ({
  id,
  type: 'public_key',
  algorithm: 'RS256',
  publicKey: { kty: 'RSA', n: 'AQAB', e: 'AQAB' },
  status: 'active',
  notBefore: null,
  expiresAt: null,
  ...changes,
})
const signedWith = (alg: string): UnverifiedJwt => ({
  compact: '',
  header: { alg, kid: undefined, typ: undefined },
  claims: {},
})

function refusalOf(run: () => unknown): Refusal {
  try {
    run()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('not refused')
}

describe('the keys that may have made a signature', () => {
  test.each<[IssuerKey['algorithm'], string]>([
    ['RS256', 'RS256'],
    ['PS256', 'PS256'],
    ['ES256', 'ES256'],
    ['ES384', 'ES384'],
    ['EdDSA', 'EdDSA'],
    ['EdDSA', 'Ed25519'],
  ])('a key for %s fits a header that says %s', (algorithm, alg) => {
    const keys = [key('key_1', { algorithm })]
    expect(requireCandidates(signedWith(alg), keys, NOW)).toEqual(keys)
  })

  test.each<[IssuerKey['algorithm'], string]>([
    ['RS256', 'PS256'],
    ['RS256', 'RS384'],
    ['RS256', 'RS1'],
    ['RS256', 'HS256'],
    ['RS256', 'ES256'],
    ['RS256', 'none'],
    ['RS256', 'rs256'],
    ['RS256', 'RS256 '],
    ['RS256', ''],
    ['PS256', 'RS256'],
    ['ES256', 'ES384'],
    ['ES256', 'ES256K'],
    ['ES384', 'ES256'],
    ['EdDSA', 'Ed448'],
    ['EdDSA', 'ES256'],
    ['EdDSA', 'toString'],
  ])('a key for %s never serves a header that says %j', (algorithm, alg) => {
    const refusal = refusalOf(() => requireCandidates(signedWith(alg), [key('key_1', { algorithm })], NOW))
    expect(refusal.reason).toBe('algorithm_mismatch')
    expect(refusal.detail).toEqual({ received: alg, expected: [algorithm], keyIds: ['key_1'] })
  })

  test.each<[string, Partial<IssuerKey>, string]>([
    ['revoked', { status: 'revoked' }, 'key_revoked'],
    ['disabled', { status: 'disabled' }, 'key_disabled'],
    ['expired a second ago', { expiresAt: new Date(NOW - 1000) }, 'key_expired'],
    ['expired at this very moment', { expiresAt: new Date(NOW) }, 'key_expired'],
    ['good from the next millisecond', { notBefore: new Date(NOW + 1) }, 'key_not_yet_valid'],
    ['both disabled and expired', { status: 'disabled', expiresAt: new Date(0) }, 'key_disabled'],
  ])('a key that is %s serves nothing', (_state, changes, reason) => {
    const refusal = refusalOf(() => requireCandidates(signedWith('RS256'), [key('key_1', changes)], NOW))
    expect(refusal.reason).toBe(reason)
    expect(refusal.detail).toMatchObject({ keyId: 'key_1' })
  })

  test('a key serves from its not_before to its expiry', () => {
    const keys = [key('key_1', { notBefore: new Date(NOW), expiresAt: new Date(NOW + 1) })]
    expect(requireCandidates(signedWith('RS256'), keys, NOW)).toEqual(keys)
  })

  test('of several keys only those that are usable and of the algorithm are tried', () => {
    const keys = [
      key('key_5', { status: 'revoked' }),
      key('key_4', { algorithm: 'PS256' }),
      key('key_3'),
      key('key_2', { expiresAt: new Date(NOW - 1) }),
      key('key_1'),
    ]
    const candidates = requireCandidates(signedWith('RS256'), keys, NOW)
    expect(candidates.map(({ id }) => id)).toEqual(['key_3', 'key_1'])
  })

  test('no key at all is key_unknown', () => {
    expect(refusalOf(() => requireCandidates(signedWith('RS256'), [], NOW)).reason).toBe('key_unknown')
  })

  test('an algorithm of any length stands in the log shortened', () => {
    const refusal = refusalOf(() => requireCandidates(signedWith('x'.repeat(9_999)), [key('key_1')], NOW))
    expect(refusal.detail.received).toBe('x'.repeat(32))
  })
})
