import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createKeyPair, decode, signCompact, type TestKeyPair } from '../support/jwt.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusal, expectRefusalFor } from './support.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const ALGORITHM = 'ES256'

let server: TestServer
/** A second application on the same database, as another node would be. */
let node: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  const { connection, clock, issuer } = server
  node = await startTestServer({ connection, clock, issuer })
  fixture = await server.createFixture({ algorithm: ALGORITHM })
})
afterAll(async () => {
  await node.close()
  await server.close()
})

type RegisteredKey = { id: string; pair: TestKeyPair; path: string }

async function addKey(account: Fixture, terms: Record<string, unknown> = {}): Promise<RegisteredKey> {
  const pair = await createKeyPair(ALGORITHM)
  const body = { type: 'public_key', public_key: pair.publicJwk, ...terms }
  const { key } = await must(server.api('POST', `${account.accountPath}/keys`, body))
  return { id: key.id, pair, path: `${account.accountPath}/keys/${key.id}` }
}

function signWith(key: RegisteredKey, account: Fixture, kid: string | undefined = key.id): Promise<string> {
  const header = { alg: ALGORITHM, ...(kid === undefined ? {} : { kid }) }
  return signCompact(header, account.claims(), key.pair.privateKey)
}

function send(at: TestServer, assertion: string, form: Record<string, string> = {}): Promise<Answer> {
  return at.post('/oauth/token', { grant_type: JWT_BEARER, assertion, ...form })
}

/** Refused at once on both nodes, with and without a kid. */
async function refusedEverywhere(key: RegisteredKey, reason: string): Promise<void> {
  for (const at of [node, server]) {
    const named = await signWith(key, fixture)
    const answer = await expectNothingIssued(server, () => send(at, named))
    await expectRefusalFor(at, answer, { error: 'invalid_grant', reason })
    const unnamed = await signCompact({ alg: ALGORITHM }, fixture.claims(), key.pair.privateKey)
    expectRefusal(await expectNothingIssued(server, () => send(at, unnamed)), 400, 'invalid_grant')
  }
}

test('[7523-3.9b] a key that was disabled just now serves on no node, and serves again when enabled', async () => {
  const key = await addKey(fixture)
  for (const at of [node, server]) expect((await send(at, await signWith(key, fixture))).status).toBe(200)
  await must(server.api('PATCH', key.path, { status: 'disabled' }))
  await refusedEverywhere(key, 'key_disabled')
  await must(server.api('PATCH', key.path, { status: 'active' }))
  for (const at of [node, server]) expect((await send(at, await signWith(key, fixture))).status).toBe(200)
})

test('[7523-3.9b] a key that was deleted just now serves on no node, for good', async () => {
  const key = await addKey(fixture)
  for (const at of [node, server]) expect((await send(at, await signWith(key, fixture))).status).toBe(200)
  await must(server.api('DELETE', key.path))
  await refusedEverywhere(key, 'key_revoked')
  expect((await server.api('PATCH', key.path, { status: 'active' })).status).toBe(409)
  await refusedEverywhere(key, 'key_revoked')
})

test('[7523-3.9b] a key serves neither before its not_before nor from its expiry on', async () => {
  const at = (seconds: number) => new Date(server.clock.now() + seconds * 1000).toISOString()
  const key = await addKey(fixture, { not_before: at(60), expires_at: at(120) })
  await refusedEverywhere(key, 'key_not_yet_valid')
  server.clock.advance(61)
  expect((await send(node, await signWith(key, fixture))).status).toBe(200)
  server.clock.advance(60)
  await refusedEverywhere(key, 'key_expired')
})

test('[7523-3.9b] disabling a key while assertions of it are under way lets none through afterwards', async () => {
  const key = await addKey(fixture)
  const assertions = await Promise.all(Array.from({ length: 40 }, () => signWith(key, fixture)))
  const underWay = assertions.map((assertion, index) => send(index % 2 === 0 ? server : node, assertion))
  await must(server.api('PATCH', key.path, { status: 'disabled' }))
  const after = await send(node, await signWith(key, fixture))
  expect(after.status).toBe(400)
  for (const answer of await Promise.all(underWay)) {
    if (answer.status !== 200) expectRefusal(answer, 400, 'invalid_grant')
    else expect((await fixture.introspect(answer.body.access_token)).body).toEqual({ active: false })
  }
})

test('[7523-3.9c] without kid each active key of the issuer is tried, and at most five', async () => {
  const account = await server.createFixture({ algorithm: ALGORITHM })
  const unnamed = (key: RegisteredKey) =>
    signCompact({ alg: ALGORITHM }, account.claims(), key.pair.privateKey)
  const first: RegisteredKey = { id: account.keyId, pair: account.keyPair, path: '' }
  expect((await send(server, await unnamed(first))).status).toBe(200)

  const second = await addKey(account)
  for (const key of [first, second]) {
    const answer = await send(server, await unnamed(key))
    expect(answer.status).toBe(200)
    const introspected = await account.introspect(answer.body.access_token)
    expect(introspected.body.key_id).toBe(key.id)
  }
  for (let count = 3; count <= 6; count++) await addKey(account)
  expect((await send(server, await unnamed(second))).status).toBe(200)
  const sixth = await send(server, await unnamed(first))
  await expectRefusalFor(server, sixth, { error: 'invalid_grant', reason: 'signature_invalid' })
  expect((await send(server, await signWith(first, account))).status).toBe(200)
})

test('[7523-3.9d] a wrong kid is refused, although the key that signed is registered', async () => {
  const key = await addKey(fixture)
  const sibling = await addKey(fixture)
  for (const [kid, reason] of [
    ['key_00000000000000000000000000000000', 'key_unknown'],
    ['', 'key_unknown'],
    [key.id.toUpperCase(), 'key_unknown'],
    [` ${key.id}`, 'key_unknown'],
    [sibling.id, 'signature_invalid'],
  ] as const) {
    const answer = await expectNothingIssued(server, async () =>
      send(server, await signWith(key, fixture, kid)),
    )
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason })
  }
})

test('[7523-3.9d] a key goes by its id and by the kid it was registered with, and by no other account’s', async () => {
  const other = await server.createFixture({ algorithm: ALGORITHM })
  const pair = await createKeyPair(ALGORITHM)
  const jwk = { ...pair.publicJwk, kid: 'prod.2026' }
  const { key } = await must(
    server.api('POST', `${fixture.accountPath}/keys`, { type: 'public_key', public_key: jwk }),
  )
  const registered = { id: key.id, pair, path: '' }
  for (const kid of [key.id, 'prod.2026', key.thumbprint]) {
    const { status } = await send(server, await signWith(registered, fixture, kid))
    expect([kid, status]).toEqual([kid, kid === key.thumbprint ? 400 : 200])
  }
  const foreign = await signCompact(
    { alg: ALGORITHM, kid: 'prod.2026' },
    other.claims(),
    other.keyPair.privateKey,
  )
  await expectRefusalFor(server, await send(server, foreign), {
    error: 'invalid_grant',
    reason: 'key_unknown',
  })
})

test('[7523-3.8] other claims are accepted and have no effect on the token', async () => {
  const plain = decode((await fixture.requestToken()).body.access_token).claims
  const extra = {
    foo: 'bar',
    prn: 'admin',
    target_audience: 'https://evil',
    azp: 'x',
    act: { sub: 'admin' },
    client_id: 'admin',
    organization_id: 'org_other',
    roles: ['owner'],
    cnf: { jkt: 'x' },
    token_type: 'admin',
    ['__proto__']: { sub: 'x' },
  }
  const answer = await fixture.requestToken({ assertion: await fixture.assertion(extra) })
  expect(answer.status).toBe(200)
  const { claims } = decode(answer.body.access_token)
  expect(claims).toEqual({ ...plain, jti: claims.jti, iat: claims.iat, exp: claims.exp })
})

test.each<[string, Record<string, string>, Record<string, string>]>([
  ['a wrong Basic header', { authorization: `Basic ${btoa('id:wrong')}` }, {}],
  ['a Bearer header', { authorization: 'Bearer abc' }, {}],
  ['a wrong client_secret', {}, { client_id: 'x', client_secret: 'wrong' }],
  [
    'an invalid client_assertion',
    {},
    {
      client_assertion: 'a.b.c',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    },
  ],
])(
  '[7523-3.1-2] a good assertion beside %s is refused: credentials that are given must hold',
  async (_what, headers, form) => {
    const assertion = await fixture.assertion()
    const answer = await expectNothingIssued(server, () =>
      server.post('/oauth/token', { grant_type: JWT_BEARER, assertion, ...form }, headers),
    )
    expectRefusal(answer, headers.authorization === undefined ? 400 : 401, 'invalid_client')
    expect((await fixture.requestToken({ assertion })).status).toBe(200)
  },
)

test('[7523-3.1-3] the reason is coarse before the signature holds, and names the fault after', async () => {
  const told = async (assertion: string) => (await send(server, assertion)).body.error_description
  const forged = async (claims: Record<string, unknown>) =>
    `${(await fixture.assertion(claims)).slice(0, -8)}AAAAAAAA`
  const coarse = await told(await forged({}))
  for (const claims of [{ aud: 'x' }, { exp: 1 }, { sub: 'x' }, { jti: 1 }]) {
    expect(await told(await forged(claims))).toBe(coarse)
  }
  expect(await told(await fixture.assertion({ aud: 'x' }))).toMatch(/\baud\b/)
  expect(await told(await fixture.assertion({ iat: undefined, exp: 1 }))).toMatch(/expired/)
  expect(await told(await fixture.assertion({ sub: 'x' }))).toMatch(/\bsub\b/)
  expect(await told(await fixture.assertion({ jti: 1 }))).toMatch(/\bjti\b/)
  expect(await told(await fixture.assertion({ exp: undefined }))).toMatch(/\bexp\b/)
})
