import { createPrivateKey } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { selfSignedCertificate } from '../../src/directory/certificate.ts'
import { createKeyPair, encode, signCompact, type TestKeyPair } from '../support/jwt.ts'
import {
  BY_KNOWN_KEYS,
  forge,
  IN_A_FORM,
  PLACES,
  type Place,
  type RefusalCase,
  testRefusals,
  usePlaces,
} from './jwt-places.ts'
import { countGrants, expectRefusal } from './support.ts'

const places = usePlaces()

let attacker: TestKeyPair
let certificate: string
/** Whoever fetches anything is seen here. */
let listener: Server
let listenerUrl: string
let connections = 0

beforeAll(async () => {
  attacker = await createKeyPair('RS256')
  const der = await selfSignedCertificate(createPrivateKey(attacker.privateKeyPem), {
    commonName: 'attacker',
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: null,
  })
  certificate = der.toString('base64')
  listener = createServer((socket) => {
    connections++
    socket.destroy()
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address() as { port: number }
  listenerUrl = `http://127.0.0.1:${address.port}`
})
afterAll(() => new Promise((resolve) => listener.close(resolve)))

/** Good claims under the attacker's key, which the header brings along. */
const byAttacker = (place: Place, header: Record<string, unknown>) =>
  signCompact({ ...place.header(), ...header, alg: 'RS256' }, place.claims(), attacker.privateKey)

const HOSTILE_KIDS: [string, unknown][] = [
  ['SQL', "' OR 1=1--"],
  ['SQL that ends the statement', "'; drop table keys; --"],
  ['a path', '../../dev/null'],
  ['a path to an empty file', '/dev/null'],
  ['a command', '|cat /etc/passwd'],
  ['a wildcard', '%'],
  ['a NUL', '\u0000'],
  ['a line feed', 'key\nkey'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['toString', 'toString'],
  ['an empty text', ''],
  ['8 kB', 'k'.repeat(8_000)],
  ['a URL', 'http://169.254.169.254/latest/meta-data/'],
  ['an object', {}],
  ['an object with a length', { length: 1 }],
  ['a number', 1],
  ['an array', []],
  ['true', true],
  ['null', null],
]

const cases: RefusalCase[] = [
  ...HOSTILE_KIDS.map(
    ([what, kid]): RefusalCase => [
      '[8725-3.10-1]',
      `a kid of ${what}`,
      (place) => forge(place, place.header({ kid }), place.claims()),
    ],
  ),
  [
    '[8725-3.10-1]',
    'a kid of 90 kB',
    (place) => forge(place, place.header({ kid: 'k'.repeat(60_000) }), place.claims()),
    IN_A_FORM,
  ],
  [
    '[8725-3.10-3]',
    'the attacker’s key as jwk beside the good kid',
    (place) => byAttacker(place, { jwk: attacker.publicJwk }),
  ],
  [
    '[8725-3.10-3]',
    'the attacker’s key as jwk without a kid',
    (place) => byAttacker(place, { jwk: attacker.publicJwk, kid: undefined }),
  ],
  [
    '[8725-3.10-3]',
    'the attacker’s key as jwk that claims the good kid',
    (place) => byAttacker(place, { jwk: { ...attacker.publicJwk, kid: place.header().kid } }),
  ],
  [
    '[8725-3.10-3]',
    'the attacker’s certificate as x5c',
    (place) => byAttacker(place, { x5c: [certificate] }),
  ],
  [
    '[8725-3.10-3]',
    'the attacker’s certificate as x5c without a kid',
    (place) => byAttacker(place, { x5c: [certificate], kid: undefined }),
  ],
  [
    '[8725-3.10-3]',
    'a public key of ours as jwk over the attacker’s signature',
    (place) => byAttacker(place, { jwk: place.publicJwk }),
  ],
]

testRefusals(
  places,
  cases.map(([ids, what, make, where = BY_KNOWN_KEYS]) => [ids, what, make, where]),
)

const URLS: [string, () => string][] = [
  ['a listener on the loopback', () => `${listenerUrl}/keys.json`],
  ['the same by name', () => listenerUrl.replace('127.0.0.1', 'localhost')],
  ['the same with credentials', () => listenerUrl.replace('//', '//user:password@')],
  ['the same over https', () => listenerUrl.replace('http:', 'https:')],
  ['the metadata service of a cloud', () => 'http://169.254.169.254/latest/meta-data/'],
  ['a file', () => 'file:///etc/passwd'],
  [
    'data',
    () => `data:application/json,${encodeURIComponent(JSON.stringify({ keys: [attacker.publicJwk] }))}`,
  ],
]

test.each(PLACES.flatMap((name) => URLS.map(([what, url]) => [what, name, url] as const)))(
  '[8725-3.10-2] a jku, x5u or jwks_uri that names %s is never fetched, as %s',
  async (_what, name, url) => {
    const place = places.at(name)
    for (const member of ['jku', 'x5u', 'jwks_uri']) {
      await place.expectRefused(await byAttacker(place, { [member]: url() }))
      await place.expectRefused(await byAttacker(place, { [member]: url(), kid: undefined }))
      // Beside a good signature it is ignored.
      await place.expectAccepted(await forge(place, place.header({ [member]: url() }), place.claims()))
    }
    expect(connections).toBe(0)
  },
)

test('[8725-3.10-2] an iss, sub, aud or kid that is the URL of a listener is not fetched either', async () => {
  const place = places.at('an assertion')
  for (const claim of ['iss', 'sub', 'aud', 'jti', 'scope']) {
    await place.send(await forge(place, place.header(), place.claims({ [claim]: listenerUrl })))
  }
  await place.expectRefused(await forge(place, place.header({ kid: listenerUrl }), place.claims()))
  const metadata = await fetch(`${places.server.url}/.well-known/oauth-authorization-server`)
  expect(await metadata.text()).not.toContain(listenerUrl)
  expect(connections).toBe(0)
})

test('[8725-3.10-4] no key is fetched at registration: jwks_uri and its like are refused by name, or carry no force (no fetch is offered)', async () => {
  const { server, fixture } = places
  const uri = `${listenerUrl}/keys.json`
  const account = await server.api('PATCH', fixture.accountPath, { jwks_uri: uri })
  const organization = await server.api('PATCH', `/organizations/${fixture.organizationId}`, {
    jwks_uri: uri,
  })
  const key = await server.api('POST', `${fixture.accountPath}/keys`, { type: 'public_key', jwks_uri: uri })
  const keyType = await server.api('POST', `${fixture.accountPath}/keys`, { type: 'jwks_uri', jwks_uri: uri })
  const text = await server.api('POST', `${fixture.accountPath}/keys`, {
    type: 'public_key',
    public_key: uri,
  })
  const resourceServer = await server.api('PATCH', `/resource-servers/${fixture.resourceServer.id}`, {
    jwks_uri: uri,
  })
  for (const answer of [account, organization, key, keyType, text, resourceServer]) {
    expect([400, 422]).toContain(answer.status)
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  }
  const pair = await createKeyPair('ES256')
  const jwk = { ...pair.publicJwk, x5u: `${listenerUrl}/x5u`, jku: `${listenerUrl}/jku` }
  const registered = await server.api('POST', `${fixture.accountPath}/keys`, {
    type: 'public_key',
    public_key: jwk,
  })
  expect(registered.status).toBe(201)
  expect(registered.body.key.public_key).not.toHaveProperty('x5u')
  expect(connections).toBe(0)
})

test('[8725-3.10-1] a kid reaches the database as one parameter: nothing but one batched read is asked', async () => {
  const { server } = places
  const place = places.at('an assertion')
  const before = await countGrants(server)
  const { pool } = server.connection
  const query = pool.query
  const seen: string[] = []
  pool.query = ((config: { text?: string } | string, ...rest: unknown[]) => {
    seen.push(typeof config === 'string' ? config : (config.text ?? ''))
    return Reflect.apply(query, pool, [config, ...rest])
  }) as typeof query
  try {
    const jwt = await forge(place, place.header({ kid: "' OR 1=1--" }), place.claims())
    expectRefusal(await place.send(jwt), 400, 'invalid_grant')
  } finally {
    pool.query = query
  }
  expect(seen).toHaveLength(1)
  expect(seen[0]).not.toContain('OR 1=1')
  expect(await countGrants(server)).toBe(before)
})

test('[8725-3.10-3] the thumbprint of a key in the header does not find a registered key', async () => {
  const place = places.at('an assertion')
  const header = place.header({
    kid: undefined,
    jwk: place.publicJwk,
    x5t: encode('x'),
    'x5t#S256': encode('x'),
  })
  await place.expectAccepted(await forge(place, header, place.claims()))
  await place.expectRefused(await signCompact(header as { alg: string }, place.claims(), attacker.privateKey))
})

test('[8725-3.10-2] after all of this nobody has connected to the listener, which does see who connects', async () => {
  await sleep(200)
  expect(connections).toBe(0)
  await expect(fetch(listenerUrl)).rejects.toThrow()
  expect(connections).toBeGreaterThan(0)
})
