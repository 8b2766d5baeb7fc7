import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decodeCursor } from '../../src/directory/pages.ts'
import { Refusal } from '../../src/errors.ts'
import { parseBasic, parseBearer } from '../../src/http/authorization.ts'
import { isId, newId, timeOfId } from '../../src/ids.ts'
import { createOpaqueToken, isOpaqueToken } from '../../src/tokens/access-token.ts'
import { createApiToken, keyIdOfApiToken, looksLikeApiToken } from '../../src/tokens/api-token.ts'
import { attempt } from './attempt.ts'
import { fuzz } from './inputs.ts'
import { anyText, formText, longText, mutations } from './texts.ts'

const B64TOKEN = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/'
const LATEST = 281_474_976_710_655

test('an API token names its key, and no other text names any', () => {
  const texts = fc.oneof(
    anyText,
    anyText.map((text) => `csk_${text}`),
    longText,
  )
  return fuzz(
    'API token format',
    fc.tuple(fc.nat({ max: LATEST }), mutations, texts),
    ([time, mutate, text]) => {
      const keyId = newId('key', time)
      const token = createApiToken(keyId)
      expect(keyIdOfApiToken(token)).toBe(keyId)
      expect(timeOfId('key', keyId)).toBe(time)
      // Passes with a probability of 2^-32, when the checksum happens to fit.
      const other = mutate(token)
      expect(keyIdOfApiToken(other)).toBe(other === token ? keyId : undefined)
      expect(keyIdOfApiToken(text)).toBeUndefined()
      expect(looksLikeApiToken(other)).toBe(other.startsWith('csk_'))
      const opaque = createOpaqueToken()
      expect(isOpaqueToken(opaque)).toBe(true)
      expect(isOpaqueToken(text)).toBe(false)
      for (const stranger of [other, text]) {
        const isOne = stranger.startsWith('key_') && isId('key', stranger)
        expect(timeOfId('key', stranger) !== undefined).toBe(isOne)
      }
    },
  )
})

test('[6749-2.3.1-1] any client id and secret come out of a Basic header as they went in', () => {
  const credential = formText.filter((text) => text !== '')
  return fuzz(
    'Authorization header',
    fc.tuple(fc.constantFrom('Basic', 'basic', 'BASIC'), credential, credential),
    ([scheme, id, secret]) => {
      const pair = [id, secret].map(formEncode).join(':')
      const header = `${scheme} ${Buffer.from(pair).toString('base64')}`
      expect(parseBasic(header)).toEqual({ id, secret })
    },
    { parts: 2 },
  )
})

test('[6749-2.3.1-3][6750-3-4] any other header is a credential of its grammar, or refused as malformed', () => {
  const octets = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('base64'))
  const token = fc.string({ unit: fc.constantFrom(...B64TOKEN, '=', ' ', ','), maxLength: 20 })
  const rest = fc.oneof(octets, token, anyText, longText)
  return fuzz(
    'Authorization header',
    rest,
    (text) => {
      const basic = attempt(() => parseBasic(`Basic ${text}`))
      if (basic instanceof Refusal) expect(basic.reason).toBe('credentials_malformed')
      else {
        expect(basic.id).not.toBe('')
        expect(basic.secret).not.toBe('')
        expect(basic.id + basic.secret).not.toContain('\0')
      }
      const bearer = attempt(() => parseBearer(`Bearer ${text}`))
      const isToken = isB64Token(text)
      if (isToken) expect(bearer).toBe(text)
      else expect((bearer as Refusal).reason).toBe('credentials_malformed')
    },
    { parts: 2 },
  )
})

test('a cursor is one that a list gave out, or refused', () => {
  const positions = fc.string({ unit: fc.constantFrom(...'acc_01z ~'), minLength: 1, maxLength: 40 })
  return fuzz('list cursors', fc.tuple(positions, mutations, anyText), ([position, mutate, text]) => {
    const cursor = Buffer.from(position).toString('base64url')
    expect(decodeCursor(cursor)).toBe(position)
    for (const other of [mutate(cursor), text]) {
      const decoded = attempt(() => decodeCursor(other))
      if (decoded instanceof Refusal) expect(decoded.reason).toBe('request_malformed')
      else expect(Buffer.from(decoded).toString('base64url')).toBe(other)
    }
  })
})

/** As `application/x-www-form-urlencoded` writes a name or a value (RFC 6749 Appendix B). */
function formEncode(text: string): string {
  return new URLSearchParams({ x: text }).toString().slice('x='.length)
}

/** RFC 6750 §2.1: `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`. */
function isB64Token(text: string): boolean {
  let end = text.length
  while (text[end - 1] === '=') end--
  return end > 0 && [...text.slice(0, end)].every((character) => B64TOKEN.includes(character))
}
