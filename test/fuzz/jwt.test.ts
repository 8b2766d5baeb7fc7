import { generateKeyPairSync, sign } from 'node:crypto'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { jwtVerify } from 'jose'
import { Refusal } from '../../src/errors.ts'
import { parseCompact } from '../../src/jwt/compact.ts'
import { attempt } from './attempt.ts'
import { fuzz } from './inputs.ts'
import {
  hasOddName,
  type Member,
  members,
  repeats,
  type Style,
  spell,
  styles,
  type Written,
  written,
} from './json-texts.ts'
import { anyText, longText, mutations } from './texts.ts'

const { privateKey: signingKey, publicKey: verificationKey } = generateKeyPairSync('ed25519')
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const PLAIN: Style = { space: '', escapesNames: false }

/** What is done to the octets of a part before they are encoded, or to their text after. */
type Spoiler = (octets: Buffer) => string
const encode: Spoiler = (octets) => octets.toString('base64url')
const OF_TEXT: readonly Spoiler[] = [
  (octets) => `${encode(octets)}=`,
  (octets) => ` ${encode(octets)}`,
  (octets) => `${encode(octets)}\n`,
  (octets) => encode(octets).replace(/^.{4}/, '$&\n'),
  (octets) => octets.toString('base64').replaceAll('=', ''),
  (octets) => setUnusedBits(encode(octets)),
]
const OF_OCTETS: readonly Spoiler[] = [
  (octets) => encode(Buffer.concat([Buffer.from('\ufeff'), octets])),
  (octets) => encode(Buffer.concat([octets.subarray(0, -1), Buffer.from([0xff]), octets.subarray(-1)])),
  (octets) => encode(Buffer.from(octets.toString(), 'utf16le')),
  (octets) => encode(octets.subarray(0, -1)),
  (octets) => encode(Buffer.concat([Buffer.from('['), octets, Buffer.from(']')])),
]

const rarely = (some: readonly Spoiler[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(encode) }, { weight: 1, arbitrary: fc.constantFrom(...some) })

/** Members that decide how a JWS is read, with values that fit and that do not. */
const headerMembers: fc.Arbitrary<readonly Member[]> = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant('"EdDSA"') },
      { weight: 1, arbitrary: fc.constantFrom('"none"', '1') },
    ),
    fc.array(
      fc.tuple(
        fc.constantFrom(
          'kid',
          'typ',
          'typ',
          'kid',
          'cty',
          'crit',
          'b64',
          'zip',
          'jwk',
          'jku',
          'x5c',
          'iss',
          'alg',
          'foo',
        ),
        fc.oneof(fc.constantFrom('"JWT"', '"at+jwt"', '"key_1"', '["exp"]', 'true').map(leaf), written),
      ),
      { maxLength: 3 },
    ),
  )
  .map(([alg, others]) => [['alg', leaf(alg)] as const, ...others])

type Recipe = {
  header: readonly Member[]
  claims: readonly Member[]
  style: Style
  spoilers: readonly [Spoiler, Spoiler, Spoiler]
}
const recipes: fc.Arbitrary<Recipe> = fc.record({
  header: headerMembers,
  claims: members,
  style: styles,
  spoilers: fc.tuple(rarely([...OF_TEXT, ...OF_OCTETS]), rarely([...OF_TEXT, ...OF_OCTETS]), rarely(OF_TEXT)),
})

test('[7515-2-3][7515-2-4][7515-4-1][7519-4-1][8725-3.7b] what jose verifies is read alike, or refused for a reason that we name', () =>
  fuzz('JWT parser against jose', recipes, async (recipe) => {
    const { compact, isSpoilt } = make(recipe)
    const ours = attempt(() => parseCompact(compact))
    const theirs = await verifyWithJose(compact)
    if (ours instanceof Refusal) {
      expect(ours.reason).toBe('assertion_malformed')
      if (theirs !== undefined) expect(isSpoilt || hasKnownFault(recipe)).toBe(true)
      return
    }
    expect(isSpoilt || hasKnownFault(recipe)).toBe(false)
    // jose was told to take EdDSA alone; all else that we let pass, it lets pass too.
    if (ours.header.alg !== 'EdDSA') expect(theirs).toBeUndefined()
    else expect(theirs).toMatchObject(ours.header)
    expect(Object.keys(ours.claims)).toEqual(Object.keys(Object.fromEntries(recipe.claims)))
    // jose reads names with JSON.parse, which cannot be relied on for those with an escape: nodejs/node#63785.
    if (theirs === undefined || hasOddName({ kind: 'object', members: recipe.claims }, recipe.style)) return
    expect(JSON.stringify(ours.claims)).toBe(theirs.claims)
  }))

test('[7523-2.1-5][8725bis-3.14] any text is taken apart in its one spelling, or refused', () => {
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((octets) => Buffer.from(octets).toString('base64url')),
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
    fc.constantFrom('', '.', Buffer.from('{"alg":"RS256"}').toString('base64url')),
  )
  const texts = fc.oneof(
    fc.tuple(part, part, part).map((parts) => parts.join('.')),
    fc.tuple(recipes, mutations).map(([recipe, mutate]) => mutate(make(recipe).compact)),
    anyText,
    longText,
  )
  return fuzz('JWT text', texts, (text) => {
    const jwt = attempt(() => parseCompact(text))
    if (jwt instanceof Refusal) {
      expect(jwt.reason).toBe('assertion_malformed')
      return
    }
    const respelled = text.split('.').map((each) => Buffer.from(each, 'base64url').toString('base64url'))
    expect(respelled.join('.')).toBe(text)
    expect(jwt.compact).toBe(text)
  })
})

/** What we refuse and jose does not: decision 5, and the docstrings of `jwt/compact.ts`. */
function hasKnownFault({ header, claims }: Recipe): boolean {
  if (repeats(header) || repeats(claims)) return true
  const values = new Map(header.map(([name, value]) => [name, JSON.parse(spell(value, PLAIN))]))
  return (
    ['crit', 'b64', 'zip', 'cty'].some((name) => values.has(name)) ||
    typeof values.get('alg') !== 'string' ||
    (values.has('typ') && typeof values.get('typ') !== 'string') ||
    (values.has('kid') && !isPlain(values.get('kid')))
  )
}

function isPlain(kid: unknown): boolean {
  if (typeof kid !== 'string' || kid.length > 255 || !kid.isWellFormed()) return false
  return [...kid].every((character) => character >= ' ' && character !== '\u007f')
}

/** The JWS of a recipe. Signed as it is sent, so that its signature holds unless it is spoilt itself. */
function make({ header, claims, style, spoilers }: Recipe): { compact: string; isSpoilt: boolean } {
  const octets = [header, claims].map((list) => Buffer.from(spell({ kind: 'object', members: list }, style)))
  const [first, second] = octets.map((part, index) => spoilers[index]!(part))
  const message = `${first}.${second}`
  const signature = sign(null, Buffer.from(message), signingKey)
  const compact = `${message}.${spoilers[2](signature)}`
  return { compact, isSpoilt: compact !== [...octets, signature].map(encode).join('.') }
}

async function verifyWithJose(compact: string): Promise<Record<string, unknown> | undefined> {
  try {
    const { payload, protectedHeader } = await jwtVerify(compact, verificationKey, { algorithms: ['EdDSA'] })
    const { alg, kid, typ } = protectedHeader
    return { alg, kid, typ, claims: JSON.stringify(payload) }
  } catch {
    return undefined
  }
}

/** The last character again, with a bit set that stands for nothing; the same text where it has no such bits. */
function setUnusedBits(text: string): string {
  if (text.length % 4 === 0) return text
  const value = ALPHABET.indexOf(text.at(-1) ?? '')
  return text.slice(0, -1) + ALPHABET[value ^ 1]
}

function leaf(text: string): Written {
  return { kind: 'leaf', text }
}
