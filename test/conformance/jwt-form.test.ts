import { expect, test } from '@jest/globals'
import {
  BY_KNOWN_KEYS,
  encodePart,
  forge,
  forgeParts,
  IN_A_FORM,
  PLACES,
  type Place,
  type RefusalCase,
  testRefusals,
  usePlaces,
} from './jwt-places.ts'

const places = usePlaces()

const good = (place: Place) => forge(place, place.header(), place.claims())
/** The good JWT with one of its three parts written otherwise. */
const respell = async (place: Place, index: 0 | 1 | 2, spell: (part: string) => string) =>
  (await good(place))
    .split('.')
    .map((part, position) => (position === index ? spell(part) : part))
    .join('.')
const withHeader = (place: Place, changes: Record<string, unknown>) =>
  forge(place, place.header(changes), place.claims())
/** A member written into the front of an object's JSON. */
const prepend = (object: object, member: string) => JSON.stringify(object).replace('{', `{${member},`)
const utf16 = (object: object, bigEndian: boolean) => {
  const bytes = Buffer.from(JSON.stringify(object), 'utf16le')
  return bigEndian ? bytes.swap16() : bytes
}

/** The good JWT with another spelling of `-` and `_` somewhere, signed as it is spelled. */
async function signedInOtherAlphabet(place: Place, index: 0 | 1): Promise<string> {
  const texts = [place.header({ x: '???>>>~~~' }), place.claims({ x: '???>>>~~~' })]
  const parts = texts.map(encodePart)
  parts[index] = Buffer.from(JSON.stringify(texts[index])).toString('base64').replaceAll('=', '')
  expect(parts[index]).toMatch(/[+/]/)
  return forgeParts(place, parts[0]!, parts[1]!)
}

/** The good JWT with its signature spelled in the other alphabet. */
async function signatureInOtherAlphabet(place: Place): Promise<string> {
  for (;;) {
    const jwt = await respell(place, 2, (part) => part.replaceAll('-', '+').replaceAll('_', '/'))
    if (/[+/]/.test(jwt)) return jwt
  }
}

const cases: RefusalCase[] = [
  ['[7515-2-1][7523-3.10]', 'padding on the header', (place) => respell(place, 0, (part) => `${part}=`)],
  ['[7515-2-1]', 'padding on the payload', (place) => respell(place, 1, (part) => `${part}==`)],
  ['[7515-2-1]', 'padding on the signature', (place) => respell(place, 2, (part) => `${part}==`)],
  ['[7515-2-2]', 'a header in the other alphabet', (place) => signedInOtherAlphabet(place, 0)],
  ['[7515-2-2]', 'a payload in the other alphabet', (place) => signedInOtherAlphabet(place, 1)],
  ['[7515-2-2]', 'a signature in the other alphabet', signatureInOtherAlphabet],
  ['[7515-2-3]', 'a trailing line feed', async (place) => `${await good(place)}\n`, IN_A_FORM],
  ['[7515-2-3]', 'a trailing CR LF', async (place) => `${await good(place)}\r\n`, IN_A_FORM],
  ['[7515-2-3]', 'a trailing tab', async (place) => `${await good(place)}\t`, IN_A_FORM],
  // Around the value of a header white space means nothing (RFC 9110 §5.5).
  ['[7515-2-3]', 'a leading space', async (place) => ` ${await good(place)}`, BY_KNOWN_KEYS],
  [
    '[7515-2-3]',
    'spaces in the signature',
    (place) => respell(place, 2, (part) => part.replace(/^.{9}/, '$& ')),
  ],
  [
    '[7515-2-3]',
    'a line feed in a signed payload part',
    (place) =>
      forgeParts(place, encodePart(place.header()), encodePart(place.claims()).replace(/^.{9}/, '$&\n')),
    IN_A_FORM,
  ],
  [
    '[7515-2-3]',
    'a space in a signed header part',
    (place) => forgeParts(place, ` ${encodePart(place.header())}`, encodePart(place.claims())),
  ],
  ['[7515-5.2-1]', 'two parts', async (place) => (await good(place)).split('.').slice(0, 2).join('.')],
  ['[7515-5.2-1]', 'four parts', async (place) => `${await good(place)}.AAAA`],
  ['[7515-5.2-1]', 'five parts', async (place) => `${await good(place)}.AAAA.AAAA`],
  ['[7515-5.2-1]', 'a leading dot', async (place) => `.${await good(place)}`],
  ['[7515-5.2-1]', 'a trailing dot', async (place) => `${await good(place)}.`],
  ['[7515-5.2-1]', 'an empty payload', (place) => forgeParts(place, encodePart(place.header()), '')],
  ['[7515-5.2-1]', 'two JWTs joined by a dot', async (place) => `${await good(place)}.${await good(place)}`],
  ['[7515-5.2-2]', 'an array as the header', (place) => forge(place, [place.header()], place.claims())],
  ['[7515-5.2-2]', 'a text as the header', (place) => forge(place, '"RS256"', place.claims())],
  ['[7515-5.2-2]', 'a number as the header', (place) => forge(place, '1', place.claims())],
  ['[7515-5.2-2]', 'null as the header', (place) => forge(place, 'null', place.claims())],
  ['[7515-5.2-2]', 'an empty header', (place) => forgeParts(place, '', encodePart(place.claims()))],
  ['[7515-5.2-2]', 'an empty object as the header', (place) => forge(place, {}, place.claims())],
  [
    '[7515-4-1]',
    'a header with alg twice, the right one last',
    (place) => forge(place, prepend(place.header(), '"alg":"none"'), place.claims()),
  ],
  [
    '[7515-4-1]',
    'a header with an escaped kid before the right one',
    (place) => forge(place, prepend(place.header(), '"\\u006bid":"key_other"'), place.claims()),
    BY_KNOWN_KEYS,
  ],
  ['[7515-4.1.11-1]', 'an unknown crit', (place) => withHeader(place, { crit: ['foo'], foo: 1 })],
  ['[7515-4.1.11-2]', 'an empty crit', (place) => withHeader(place, { crit: [] })],
  ['[7515-4.1.11-2]', 'a crit that is a text', (place) => withHeader(place, { crit: 'b64', b64: true })],
  ['[7515-4.1.11-2]', 'a crit of numbers', (place) => withHeader(place, { crit: [1] })],
  ['[7515-4.1.11-2]', 'a crit that names what is absent', (place) => withHeader(place, { crit: ['exp'] })],
  ['[7515-4.1.11-2]', 'a crit that names alg', (place) => withHeader(place, { crit: ['alg'] })],
  ['[7515-4.1.11-2]', 'a crit of null', (place) => withHeader(place, { crit: null })],
  [
    '[7797-7]',
    'an unencoded payload',
    (place) =>
      forgeParts(
        place,
        encodePart(place.header({ crit: ['b64'], b64: false })),
        JSON.stringify(place.claims()),
      ),
  ],
  [
    '[7797-7]',
    'b64 false, encoded all the same',
    (place) => withHeader(place, { crit: ['b64'], b64: false }),
  ],
  ['[7797-6]', 'b64 false without crit', (place) => withHeader(place, { b64: false })],
  ['[7797-6]', 'b64 true', (place) => withHeader(place, { b64: true })],
  ['[7515-4.1.9]', 'a typ that is a number', (place) => withHeader(place, { typ: 1 })],
  [
    '[7515-4.1.9]',
    'a typ that is an array',
    (place) => withHeader(place, { typ: [place.header().typ ?? 'JWT'] }),
  ],
  ['[7515-4.1.9]', 'a typ that is null', (place) => withHeader(place, { typ: null })],
  [
    '[8725-3.7]',
    'a payload in UTF-16',
    (place) => forge(place, place.header(), utf16(place.claims(), false)),
  ],
  [
    '[8725-3.7]',
    'a payload in big-endian UTF-16',
    (place) => forge(place, place.header(), utf16(place.claims(), true)),
  ],
  ['[8725-3.7]', 'a header in UTF-16', (place) => forge(place, utf16(place.header(), false), place.claims())],
  [
    '[8725-3.7]',
    'a payload with a byte that is not UTF-8',
    (place) => forge(place, place.header(), Buffer.from(prepend(place.claims(), '"x":"\xff"'), 'latin1')),
  ],
  [
    '[8725-3.7]',
    'a payload with an overlong character',
    (place) => forge(place, place.header(), Buffer.from(prepend(place.claims(), '"x":"\xc0\xaf"'), 'latin1')),
  ],
  [
    '[8725-3.7b]',
    'a byte-order mark before the header',
    (place) => forge(place, `\ufeff${JSON.stringify(place.header())}`, place.claims()),
  ],
  [
    '[8725-3.7b]',
    'a byte-order mark before the payload',
    (place) => forge(place, place.header(), `\ufeff${JSON.stringify(place.claims())}`),
  ],
  ['[7519-7.2-1]', 'an array as the payload', (place) => forge(place, place.header(), [place.claims()])],
  ['[7519-7.2-1]', 'a number as the payload', (place) => forge(place, place.header(), '1')],
  ['[7519-7.2-1]', 'null as the payload', (place) => forge(place, place.header(), 'null')],
  ['[7519-7.2-1]', 'a text as the payload', (place) => forge(place, place.header(), 'iss=x')],
  [
    '[8725bis-3.14]',
    'the flattened JSON serialization',
    async (place) => {
      const [header, payload, signature] = (await good(place)).split('.')
      return JSON.stringify({ protected: header, payload, signature })
    },
  ],
  [
    '[8725bis-3.14]',
    'the general JSON serialization',
    async (place) => {
      const [header, payload, signature] = (await good(place)).split('.')
      return JSON.stringify({ payload, signatures: [{ protected: header, signature }] })
    },
  ],
  ['[8725bis-3.14]', 'a JWT in quotes', async (place) => JSON.stringify(await good(place))],
  ['[8725bis-3.14]', 'a JWT in an array', async (place) => JSON.stringify([await good(place)])],
  ['[8725bis-3.14]', 'a tilde at the end, as SD-JWT has', async (place) => `${await good(place)}~`],
  ['[8725bis-3.14]', 'a percent-encoded dot', async (place) => (await good(place)).replace('.', '%2E')],
  ['[8725bis-3.14]', 'a full-width dot', async (place) => (await good(place)).replace('.', '．'), IN_A_FORM],
  ['[8725bis-3.14]', 'a character outside ASCII', async (place) => `${await good(place)}é`, IN_A_FORM],
]

testRefusals(places, cases)

test.each(PLACES)(
  '[7515-2-4] each of the 15 other spellings of one signature is refused as %s',
  async (name) => {
    const place = places.at(name)
    const jwt = await good(place)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(jwt.at(-1)!)
    expect(last % 16).toBe(0)
    const same = (text: string) => Buffer.from(text.split('.')[2]!, 'base64url').toString('hex')
    for (let bits = 1; bits < 16; bits++) {
      const twin = jwt.slice(0, -1) + alphabet[last + bits]
      expect(same(twin)).toBe(same(jwt))
      await place.expectRefused(twin)
    }
    await place.expectAccepted(jwt)
  },
)
