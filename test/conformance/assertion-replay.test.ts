import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Answer, type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { countGrants, expectNothingIssued, expectRefusalFor } from './support.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const PARALLEL = 20
/** The order of the P-256 group (SEC 2 §2.4.2). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

let server: TestServer
/** A second application on the same database, as another node would be. */
let node: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  const { connection, clock, issuer } = server
  node = await startTestServer({ connection, clock, issuer })
  fixture = await server.createFixture({ algorithm: 'ES256' })
})
afterAll(async () => {
  await node.close()
  await server.close()
})

function send(at: TestServer, assertion: string, form: Record<string, string> = {}): Promise<Answer> {
  return at.post('/oauth/token', { grant_type: JWT_BEARER, assertion, ...form })
}

async function refusedAsReplay(at: TestServer, assertion: string): Promise<void> {
  const answer = await expectNothingIssued(server, () => send(at, assertion))
  await expectRefusalFor(at, answer, { error: 'invalid_grant', reason: 'assertion_replayed' })
}

test('[7523-3.7a] a second use of a jti is refused, on this node and on every other', async () => {
  const assertion = await fixture.assertion()
  expect((await send(server, assertion)).status).toBe(200)
  await refusedAsReplay(server, assertion)
  await refusedAsReplay(node, assertion)
})

test('[7523-3.7a] a new signature of the same claims is a replay as well', async () => {
  const claims = fixture.claims()
  expect((await send(server, await fixture.assertion(claims))).status).toBe(200)
  await refusedAsReplay(server, await fixture.assertion(claims))
})

test('[7523-3.7a] nor does the second signature that ECDSA allows make it a new assertion', async () => {
  const assertion = await fixture.assertion()
  const message = assertion.slice(0, assertion.lastIndexOf('.'))
  const signature = Buffer.from(assertion.slice(message.length + 1), 'base64url')
  const s = BigInt(`0x${signature.subarray(32).toString('hex')}`)
  const mirrored = Buffer.from((P256_ORDER - s).toString(16).padStart(64, '0'), 'hex')
  const twin = `${message}.${Buffer.concat([signature.subarray(0, 32), mirrored]).toString('base64url')}`
  expect((await send(server, twin)).status).toBe(200)
  await refusedAsReplay(server, assertion)
})

test('[7523-3.7a] without jti an assertion may be sent again, unless the account must have one', async () => {
  const assertion = await fixture.assertion({ jti: undefined })
  expect((await send(server, assertion)).status).toBe(200)
  expect((await send(node, assertion)).status).toBe(200)

  const strict = await server.createFixture({ algorithm: 'ES256', assertionPolicy: { require_jti: true } })
  const answer = await strict.requestToken({ assertion: await strict.assertion({ jti: undefined }) })
  await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'jti_required' })
  expect((await strict.requestToken()).status).toBe(200)
})

test.each([1, 2, 3])(
  `[7523-3.7b] of ${PARALLEL} posts of one assertion at once to two nodes exactly one is accepted, round %i`,
  async () => {
    const assertion = await fixture.assertion()
    const before = await countGrants(server)
    const answers = await Promise.all(
      [...Array(PARALLEL).keys()].map((index) => send(index % 2 === 0 ? server : node, assertion)),
    )
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
    for (const [index, answer] of answers.entries()) {
      if (answer.status === 200) continue
      const at = index % 2 === 0 ? server : node
      await expectRefusalFor(at, answer, { error: 'invalid_grant', reason: 'assertion_replayed' })
    }
    expect(await countGrants(server)).toBe(before + 1)
  },
)

test('[7523-3.7b] different assertions sent at once are all accepted, whatever is replayed beside them', async () => {
  const replayed = await fixture.assertion()
  const fresh = await Promise.all(Array.from({ length: PARALLEL }, () => fixture.assertion()))
  const before = await countGrants(server)
  const answers = await Promise.all(
    fresh.flatMap((assertion, index) => {
      const at = index % 2 === 0 ? server : node
      return [send(at, assertion), send(at, replayed)]
    }),
  )
  expect(answers.filter((_answer, index) => index % 2 === 0).map(({ status }) => status)).toEqual(
    Array(PARALLEL).fill(200),
  )
  expect(await countGrants(server)).toBe(before + PARALLEL + 1)
})

test('[7523-3.7c] accounts do not burn each other’s jti (grants)', async () => {
  const other = await server.createFixture({ algorithm: 'ES256' })
  const jti = 'order-4711'
  expect((await send(server, await fixture.assertion({ jti }))).status).toBe(200)
  expect((await send(server, await other.assertion({ jti }))).status).toBe(200)
})

test('[7523-3.7c] a jti belongs to the account, under whichever of its names and keys', async () => {
  const claims = fixture.claims()
  expect((await send(server, await fixture.assertion(claims))).status).toBe(200)
  await refusedAsReplay(node, await fixture.assertion({ ...claims, iss: fixture.accountEmail }))
  await refusedAsReplay(node, await fixture.assertion({ ...claims, aud: server.issuer }))
  await refusedAsReplay(node, await fixture.assertion({ ...claims, scope: 'read' }))
})

test('[7523-3.7d] nothing that is refused burns a jti', async () => {
  const claims = fixture.claims()
  const good = await fixture.assertion(claims)
  const garbage: [string, Record<string, string>?][] = [
    [`${good.slice(0, -10)}${'A'.repeat(10)}`],
    [await fixture.assertion(claims, { kid: 'key_unknown' })],
    [await fixture.assertion(claims, { typ: 'at+jwt' })],
    [await fixture.assertion({ ...claims, aud: 'https://evil' })],
    [await fixture.assertion({ ...claims, sub: 'someone' })],
    [await fixture.assertion({ ...claims, iat: 1 })],
    [await fixture.assertion({ ...claims, nbf: Number(claims.exp) + 1000 })],
    [good, { scope: 'nosuch' }],
    [good, { scope: '"' }],
    [good, { resource: 'https://nosuch.example' }],
    [good, { client_id: 'acc_other' }],
    [good, { client_secret: 'x' }],
    [good, { grant_type: 'password' }],
  ]
  for (const [assertion, form] of garbage) {
    const answer = await expectNothingIssued(server, () => send(server, assertion, form))
    expect([form, answer.status]).toEqual([form, 400])
  }
  expect((await send(server, good)).status).toBe(200)
})

test.each<[string, unknown]>([
  ['a number', 1],
  ['empty', ''],
  ['null', null],
  ['an array', ['x']],
  ['an object', {}],
  ['256 characters long', 'j'.repeat(256)],
  ['10 kB long', 'j'.repeat(10_000)],
])('[7523-3.7e] an assertion whose jti is %s is refused', async (_what, jti) => {
  const answer = await fixture.requestToken({ assertion: await fixture.assertion({ jti }) })
  await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'claim_malformed' })
})

test.each<[string, string]>([
  ['of 255 characters', 'j'.repeat(255)],
  ['with quotes and a semicolon', "'); drop table grant_records; --"],
  ['outside ASCII', '🔑'.repeat(100)],
  ['with characters of LIKE and paths', '%_\\/../'],
])('[7523-3.7e] a jti %s counts once, exactly as it is written', async (_what, jti) => {
  const claims = fixture.claims({ jti })
  expect((await send(server, await fixture.assertion(claims))).status).toBe(200)
  await refusedAsReplay(server, await fixture.assertion(claims))
  const near = await fixture.assertion({ ...claims, jti: jti.slice(0, -2) })
  expect((await send(server, near)).status).toBe(200)
})

test('[7523-3.7f] a replay is refused as such until exp and skew have passed, then as expired, also when its row is gone', async () => {
  const assertion = await fixture.assertion()
  expect((await send(server, assertion)).status).toBe(200)
  server.clock.advance(328)
  await refusedAsReplay(node, assertion)
  server.clock.advance(5)
  const expired = await send(server, assertion)
  await expectRefusalFor(server, expired, { error: 'invalid_grant', reason: 'assertion_expired' })

  server.clock.advance(40 * 86_400)
  await server.maintain()
  expect(await countGrants(server)).toBe(0)
  const purged = await send(server, assertion)
  await expectRefusalFor(server, purged, { error: 'invalid_grant', reason: 'assertion_expired' })
  expect((await fixture.requestToken()).status).toBe(200)
})
