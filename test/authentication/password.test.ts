import { describe, expect, test } from '@jest/globals'
import { createPasswordHasher, isOutdated } from '../../src/authentication/password.ts'
import { normalizePassword, requireGoodPassword } from '../../src/authentication/password-rules.ts'
import { createRecoveryCodes, digestRecoveryCode } from '../../src/authentication/recovery-codes.ts'
import type { Refusal } from '../../src/errors.ts'

describe('a hash', () => {
  const hasher = createPasswordHasher()

  test('holds for its password alone, and is another one each time', async () => {
    const [one, other] = await Promise.all([hasher.hash('a password'), hasher.hash('a password')])
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    expect(other).not.toBe(one)
    expect(await hasher.verify('a password', one)).toBe(true)
    expect(await hasher.verify('a password', other)).toBe(true)
    expect(await hasher.verify('A password', one)).toBe(false)
    expect(await hasher.verify('', one)).toBe(false)
    expect(await hasher.verify('a password', null)).toBe(false)
    expect(isOutdated(one)).toBe(false)
  })

  test('under other parameters still holds, and is known to be outdated', async () => {
    // Made with the reference implementation's parameters m=256, t=1, p=1 (RFC 9106 §3.1 lets them be small).
    const { argon2Sync } = await import('node:crypto')
    const salt = Buffer.alloc(16, 5)
    const tag = argon2Sync('argon2id', {
      message: 'a password',
      nonce: salt,
      memory: 256,
      passes: 1,
      parallelism: 1,
      tagLength: 32,
    })
    const encode = (octets: Buffer) => octets.toString('base64').replace(/=+$/, '')
    const stored = `$argon2id$v=19$m=256,t=1,p=1$${encode(salt)}$${encode(tag)}`
    expect(await hasher.verify('a password', stored)).toBe(true)
    expect(isOutdated(stored)).toBe(true)
  })

  test.each(['', '$2b$10$abc', '$argon2i$v=19$m=256,t=1,p=1$AAAA$AAAA'])('«%s» is a bug', async (stored) => {
    await expect(hasher.verify('a password', stored)).rejects.toThrow('PHC')
  })
})

describe('a password to be chosen', () => {
  const faultOf = (password: string, names: string[] = []) => {
    try {
      requireGoodPassword(password, '/password', names)
      return undefined
    } catch (error) {
      return (error as Refusal).told.faults?.[0]?.detail
    }
  }

  test.each([
    ['a'.repeat(11), 'must have at least 12 characters'],
    ['👪'.repeat(11), 'must have at least 12 characters'],
    ['👪'.repeat(12), undefined],
    ['b'.repeat(256), undefined],
    ['b'.repeat(257), 'must have at most 256 characters'],
    ['1qaz2wsx3edc', 'is among the most common passwords, which are tried first'],
    ['1QAZ2wsx3edC', 'is among the most common passwords, which are tried first'],
    ['AdministratoR', 'is among the most common passwords, which are tried first'],
    ['            .', undefined],
    ['only-lower-case-letters', undefined],
  ])('%s', (password, fault) => {
    expect(faultOf(password)).toBe(fault)
  })

  test('is the same however its letters are composed', () => {
    expect(normalizePassword('pa\u0308sse')).toBe('pässe')
    expect(requireGoodPassword('\u0061\u0308 long enough', '/p', [])).toBe('ä long enough')
  })

  test.each([
    ['countersign2026', false],
    ['Acme Bridges 2026!', false],
    ['ACMEBRIDGESACMEBRIDGES', false],
    ['acme-bridges-acme', false],
    ['lovelace.ada.1815', false],
    ['ada@engines.example', false],
    ['Zo\u00eb zo\u0065\u0308 Zo\u00eb 12', false],
    ['correct horse acme battery', true],
    ['a bridge to nowhere', true],
  ])('names that an attacker knows do not count towards its length: «%s»', (password, isGood) => {
    const names = ['Acme Bridges', 'acme-bridges', 'Ada Zoë Lovelace', 'ada@engines.example']
    expect(faultOf(password, names)).toBe(
      isGood
        ? undefined
        : 'must have at least 12 characters besides the names of the person, the organization and this product',
    )
  })
})

describe('recovery codes', () => {
  test('are ten, all different, of 140 bits', () => {
    const codes = createRecoveryCodes()
    expect(codes).toHaveLength(10)
    expect(new Set(codes).size).toBe(10)
    for (const code of codes) expect(code).toMatch(/^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){6}$/)
  })

  test('are the same however they are typed, and another thing for another account', () => {
    const digest = digestRecoveryCode('acc_1', '01ab-cdef-ghjk-mnpq')
    for (const typed of [
      '01ABCDEFGHJKMNPQ',
      ' 01ab cdef ghjk mnpq ',
      'oiab-cdef-ghjk-mnpq',
      'OLAB-CDEF-GHJK-MNPQ',
    ]) {
      expect(digestRecoveryCode('acc_1', typed)).toEqual(digest)
    }
    expect(digestRecoveryCode('acc_2', '01ab-cdef-ghjk-mnpq')).not.toEqual(digest)
  })
})
