import { expect, test } from '@jest/globals'
import { decode } from '../support/jwt.ts'
import {
  ASSERTIONS,
  BY_KNOWN_KEYS,
  forge,
  IN_A_FORM,
  PLACES,
  type Place,
  type PlaceName,
  type RefusalCase,
  testRefusals,
  usePlaces,
} from './jwt-places.ts'
import { expectRefusalFor } from './support.ts'

const places = usePlaces()

const TOKENS: readonly PlaceName[] = ['a token at introspection', 'a token for the management API']

/** A claim without which nothing is accepted: a DPoP proof has no issuer. */
const neededBy = ({ name }: Place) => (name === 'a DPoP proof' ? 'jti' : 'iss')
const withClaims = (place: Place, changes: Record<string, unknown>) =>
  forge(place, place.header(), place.claims(changes))
/** A member written into the front of an object's JSON. */
const prepend = (object: object, member: string) => JSON.stringify(object).replace('{', `{${member},`)
/** A member in place of the one that is there, as text that JSON.stringify would not write. */
const replace = (object: object, name: string, text: string) =>
  JSON.stringify({ ...object, [name]: '@' }).replace('"@"', text)
const nested = (depth: number) => `"x":${'['.repeat(depth)}${']'.repeat(depth)}`

const UNSTORABLE = [
  ['a NUL', '\\u0000'],
  ['a lone surrogate', '\\ud800'],
  ['a surrogate pair the wrong way round', '\\udc00\\ud800'],
] as const

const cases: RefusalCase[] = [
  [
    '[7519-4-1]',
    'a claim twice, the good one last',
    (place) => forge(place, place.header(), prepend(place.claims(), '"jti":"victim"')),
  ],
  [
    '[7519-4-1]',
    'a claim twice, once escaped',
    (place) => forge(place, place.header(), prepend(place.claims(), '"\\u006ati":"victim"')),
  ],
  [
    '[7519-4-1]',
    'an unknown claim twice',
    (place) => forge(place, place.header(), prepend(place.claims(), '"x":1,"x":2')),
  ],
  ...UNSTORABLE.flatMap(([what, text]): RefusalCase[] => [
    [
      '[7519-4-4]',
      `${what} as kid`,
      (place) => forge(place, replace(place.header(), 'kid', `"a${text}b"`), place.claims()),
    ],
    [
      '[7519-4-4]',
      `${what} in iss`,
      (place) => forge(place, place.header(), replace(place.claims(), 'iss', `"a${text}b"`)),
      BY_KNOWN_KEYS,
    ],
    [
      '[7519-4-4]',
      `${what} in jti`,
      (place) => forge(place, place.header(), replace(place.claims(), 'jti', `"a${text}b"`)),
    ],
    [
      '[7519-4-4]',
      `${what} in sub`,
      (place) => forge(place, place.header(), replace(place.claims(), 'sub', `"a${text}b"`)),
      ASSERTIONS,
    ],
    [
      '[7519-4-4]',
      `${what} in client_id`,
      (place) => forge(place, place.header(), replace(place.claims(), 'client_id', `"a${text}b"`)),
      TOKENS,
    ],
  ]),
  ...['"x"', '"1700000000"', 'null', 'true', '{}', '[]'].map(
    (text): RefusalCase => [
      '[7519-2-2]',
      `an exp of ${text}`,
      (place) => forge(place, place.header(), replace(place.claims(), 'exp', text)),
    ],
  ),
  ...['-1', '0', '-1e400'].map(
    (text): RefusalCase => [
      '[7519-2-3]',
      `an exp of ${text}`,
      (place) => forge(place, place.header(), replace(place.claims(), 'exp', text)),
    ],
  ),
  ['[7519-2-2]', 'no exp', (place) => withClaims(place, { exp: undefined }), BY_KNOWN_KEYS],
  ['[8725-3.8-1]', 'no iss', (place) => withClaims(place, { iss: undefined }), BY_KNOWN_KEYS],
  [
    '[8725-3.8-1]',
    'another iss',
    (place) => withClaims(place, { iss: 'https://evil.example' }),
    BY_KNOWN_KEYS,
  ],
  [
    '[8725-3.8-2]',
    'the right iss with a client_id of another account',
    (place) => withClaims(place, { client_id: `acc_${'0'.repeat(36)}` }),
    TOKENS,
  ],
  ['[8725-3.8-2]', 'no client_id', (place) => withClaims(place, { client_id: undefined }), TOKENS],
  ['[8725-3.8-2]', 'a sub of another', (place) => withClaims(place, { sub: 'someone' }), ASSERTIONS],
  [
    '[8725-3.9]',
    'an aud of another server',
    (place) => withClaims(place, { aud: 'https://evil' }),
    ASSERTIONS,
  ],
  [
    '[8725-3.8-2]',
    'a token with the jti of no record',
    (place) => withClaims(place, { jti: `tok_${'0'.repeat(36)}` }),
    TOKENS,
  ],
  [
    '[7519-4-3]',
    'forty-six thousand nested arrays',
    (place) => forge(place, place.header(), prepend(place.claims(), nested(46_000))),
    IN_A_FORM,
  ],
]

testRefusals(places, cases)

test('[8725-3.9] a token for one resource server is inactive for another, and no key to the management API', async () => {
  const other = await places.server.createFixture({ algorithm: 'ES256' })
  const token = await other.getToken()
  expect((await other.introspect(token)).body.active).toBe(true)
  for (const name of TOKENS) await places.at(name).expectRefused(token)
  await places.at('a token at introspection').expectRefused(await places.server.operatorToken())
})

test.each(IN_A_FORM)(
  '[7519-4-3] a hundred thousand nested arrays are too large a body as %s',
  async (name) => {
    const place = places.at(name)
    const answer = await place.send(
      await forge(place, place.header(), prepend(place.claims(), nested(100_000))),
    )
    expect(answer).toMatchObject({ status: 413, body: { error: 'invalid_request' } })
  },
)

test.each(IN_A_FORM)(
  '[7519-4-3] five thousand nested arrays in a claim of no concern do no harm as %s',
  async (name) => {
    const place = places.at(name)
    await place.expectAccepted(await forge(place, place.header(), prepend(place.claims(), nested(5_000))))
  },
)

test.each(PLACES)(
  '[7519-4-2] unknown claims, also those with a meaning to JavaScript, are ignored as %s',
  async (name) => {
    const place = places.at(name)
    const many = Object.fromEntries([...Array(200).keys()].map((index) => [`claim_${index}`, index]))
    const strange =
      '"__proto__":{"active":true,"sub":"x"},"constructor":{"prototype":{"polluted":1}},"toString":1'
    const jwt = await forge(place, place.header(), prepend({ ...place.claims(), ...many }, strange))
    await place.expectAccepted(jwt)
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
    const refused = await forge(
      place,
      place.header(),
      prepend(place.claims({ [neededBy(place)]: undefined }), strange),
    )
    await place.expectRefused(refused)
  },
)

test.each(PLACES)('[7519-2-1] a fractional exp is accepted as %s', async (name) => {
  const place = places.at(name)
  const { exp = Math.floor(places.server.clock.now() / 1000) + 300 } = place.claims()
  await place.expectAccepted(await withClaims(place, { exp: Number(exp) + 0.5 }))
})

test.each(PLACES)('[7519-5.3] claims replicated in the header have no force as %s', async (name) => {
  const place = places.at(name)
  const evil = { iss: 'evil', sub: 'evil', aud: 'evil', exp: 1, client_id: 'evil', jti: 'evil' }
  await place.expectAccepted(await forge(place, place.header(evil), place.claims()))
  const { iss, sub, aud, exp, jti } = place.claims()
  const claims = place.claims({ [neededBy(place)]: undefined })
  await place.expectRefused(await forge(place, place.header({ iss, sub, aud, exp, jti }), claims))
})

test('[7519-5.3] the token is made from the payload alone', async () => {
  const place = places.at('an assertion')
  const header = place.header({ iss: 'evil', sub: 'evil', scope: 'read', jti: 'x' })
  const { body } = await place.send(await forge(place, header, place.claims({ scope: 'write' })))
  expect(decode(body.access_token).claims).toMatchObject({ sub: places.fixture.accountId, scope: 'write' })
})

test.each(['1e15', '1e308', '1e400', '12345678901234567890'])(
  '[7519-2-3] a token that was signed with an exp of %s does not outlive its record',
  async (text) => {
    const token = await places.fixture.getToken()
    const place = places.at('a token at introspection')
    const { header, claims } = decode(token)
    const jwt = await forge(place, header, replace(claims, 'exp', text))
    expect((await places.fixture.introspect(jwt)).body.exp ?? claims.exp).toBe(claims.exp)
    places.server.clock.advance(901)
    await place.expectRefused(jwt)
  },
)

test('[7519-4.1.4] a token is active before its exp and inactive from exp on: there is no leeway for our own clock', async () => {
  const token = await places.fixture.getToken()
  const { exp } = decode(token).claims as { exp: number }
  const secondsLeft = () => exp - Math.floor(places.server.clock.now() / 1000)
  places.server.clock.advance(secondsLeft() - 2)
  expect((await places.fixture.introspect(token)).body.active).toBe(true)
  places.server.clock.advance(secondsLeft())
  expect((await places.fixture.introspect(token)).body).toEqual({ active: false })
})

test.each<[string, unknown]>([
  ['an array', ['read']],
  ['an object', { read: true }],
  ['null', null],
  ['a number', 1],
])(
  '[7523-3.10] a scope that is %s is refused: what was meant as a ceiling must not vanish',
  async (_what, scope) => {
    const place = places.at('an assertion')
    const answer = await place.send(await withClaims(place, { scope }))
    await expectRefusalFor(places.server, answer, { error: 'invalid_grant', reason: 'claim_malformed' })
  },
)
