import { describe, expect, test } from '@jest/globals'
import { newId } from '../../src/ids.ts'
import {
  createApiToken,
  keyIdOfApiToken,
  looksLikeApiToken,
  obfuscateApiToken,
} from '../../src/tokens/api-token.ts'

/** The one that docs/api-tokens.md gives to secret scanners. */
const SCANNER = /\bcsk_[0-9a-hjkmnp-tv-z]{36}[A-Za-z0-9_-]{49}(?![A-Za-z0-9_-])/
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

function make(): { keyId: string; token: string } {
  const keyId = newId('key', 1_795_253_400_000)
  return { keyId, token: createApiToken(keyId) }
}

test('an API token names its key, and consists of characters that no encoding touches', () => {
  for (let count = 0; count < 200; count++) {
    const { keyId, token } = make()
    expect(keyIdOfApiToken(token)).toBe(keyId)
    expect(token).toMatch(/^csk_[A-Za-z0-9_-]{85}$/)
    expect(encodeURIComponent(token)).toBe(token)
    expect(looksLikeApiToken(token)).toBe(true)
  }
})

test('no two of one key are alike', () => {
  const { keyId } = make()
  const tokens = Array.from({ length: 100 }, () => createApiToken(keyId))
  expect(new Set(tokens.map((token) => token.slice(40, 83))).size).toBe(100)
})

test('a scanner finds it in what people write around it, whole', () => {
  const { token } = make()
  for (const text of [
    token,
    `"${token}"`,
    `TOKEN=${token}\n`,
    `Bearer ${token}, and more`,
    `https://x/?t=${token}&u=1`,
  ]) {
    expect(SCANNER.exec(text)?.[0]).toBe(token)
  }
  expect(SCANNER.test(`${token}x`)).toBe(false)
})

describe('the checksum', () => {
  test('tells every single wrong character', () => {
    const { token } = make()
    for (let position = 4; position < token.length; position++) {
      for (const character of ALPHABET) {
        if (character === token[position]) continue
        const wrong = token.slice(0, position) + character + token.slice(position + 1)
        expect(keyIdOfApiToken(wrong)).toBeUndefined()
      }
    }
  })

  test('tells two neighbours that changed places', () => {
    const { token } = make()
    for (let position = 4; position + 1 < token.length; position++) {
      const [one = '', other = ''] = token.slice(position, position + 2)
      if (one === other) continue
      const wrong = token.slice(0, position) + other + one + token.slice(position + 2)
      expect(keyIdOfApiToken(wrong)).toBeUndefined()
    }
  })

  test('lets nothing pass that is cut, prolonged or made of other text', () => {
    const { token } = make()
    for (let length = 0; length < token.length; length++)
      expect(keyIdOfApiToken(token.slice(0, length))).toBeUndefined()
    for (const text of [`${token}A`, ` ${token}`, `${token}\n`, token.toUpperCase(), `cst_${token.slice(4)}`])
      expect(keyIdOfApiToken(text)).toBeUndefined()
  })
})

test('what is shown afterwards are its two ends', () => {
  const { token } = make()
  expect(obfuscateApiToken(token)).toBe(`${token.slice(0, 8)}…${token.slice(-4)}`)
})
