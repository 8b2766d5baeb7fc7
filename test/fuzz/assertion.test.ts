import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { countGrants, expectRefusal } from '../conformance/support.ts'
import { decode, encode } from '../support/jwt.ts'
import { type Answer, type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { fuzz } from './inputs.ts'
import { anyJson, mutations } from './texts.ts'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer({ keepsLogs: false })
  fixture = await server.createFixture({ algorithm: 'ES256' })
})
afterAll(() => server.close())

/** The refusal of an assertion; of an absent one when nothing is left of it, of a bad form when it has a NUL. */
function expectRefused(answer: Answer, assertion: string): void {
  const isSent = assertion !== '' && !assertion.includes('\0')
  expectRefusal(answer, 400, isSent ? 'invalid_grant' : 'invalid_request')
}

test('[7523-3.9a][7523-3.10] of all mutations of a good assertion only the good one itself is accepted', async () => {
  const before = await countGrants(server)
  let accepted = 0
  await fuzz(
    'assertion, mutated',
    mutations,
    async (mutate) => {
      const good = await goodAssertion(fixture)
      const assertion = mutate(good)
      const answer = await fixture.requestToken({ assertion })
      if (assertion !== good) return expectRefused(answer, assertion)
      expect(answer.status).toBe(200)
      accepted++
    },
    { parts: 2 },
  )
  expect(await countGrants(server)).toBe(before + accepted)
  expect((await fixture.requestToken({ assertion: await goodAssertion(fixture) })).status).toBe(200)
})

test('[7523-3.10] the good assertion of another algorithm survives its mutations as well', async () => {
  const account = await server.createFixture({ algorithm: 'EdDSA' })
  await fuzz(
    'assertion, mutated',
    mutations,
    async (mutate) => {
      const good = await goodAssertion(account)
      const assertion = mutate(good)
      const answer = await account.requestToken({ assertion })
      if (assertion === good) expect(answer.status).toBe(200)
      else expectRefused(answer, assertion)
    },
    { parts: 2 },
  )
})

test('[7523-3.9a] no bit of header, payload or signature can be another', () => {
  const places = fc.tuple(fc.nat({ max: 2 }), fc.nat(), fc.nat({ max: 7 }))
  return fuzz('assertion, one bit', places, async ([part, at, bit]) => {
    const parts = (await goodAssertion(fixture)).split('.').map((text) => Buffer.from(text, 'base64url'))
    const bytes = parts[part]!
    bytes[at % bytes.length]! ^= 1 << bit
    const assertion = parts.map((octets) => octets.toString('base64url')).join('.')
    expectRefused(await fixture.requestToken({ assertion }), assertion)
  })
})

test('[7523-3.10][7521-4.1.1] header and claims of any JSON under a good signature are a token for the account or a refusal', async () => {
  const now = Math.floor(server.clock.now() / 1000)
  const anything = fc.oneof(
    anyJson,
    fc.constantFrom<unknown>(
      undefined,
      fixture.accountId,
      fixture.accountEmail,
      fixture.keyId,
      server.issuer,
    ),
    fc.constantFrom<unknown>(
      [server.issuer],
      now,
      now + 60,
      now - 60,
      now + 60.5,
      'read',
      'JWT',
      'at+jwt',
      'ES256',
    ),
  )
  const changes = (...names: string[]) =>
    fc
      .tuple(fc.subarray(names, { maxLength: 3 }), fc.array(anything, { minLength: 3, maxLength: 3 }))
      .map(([chosen, values]) => Object.fromEntries(chosen.map((name, index) => [name, values[index]])))
  const claims = changes(
    'iss',
    'sub',
    'aud',
    'exp',
    'nbf',
    'iat',
    'jti',
    'scope',
    'client_id',
    'act',
    '__proto__',
  )
  const header = changes('alg', 'kid', 'typ', 'cty', 'crit', 'b64', 'zip', 'jwk', 'jku', 'x5c', 'enc', 'foo')
  const both = fc.tuple(header, claims)
  await fuzz('assertion, any claims under a good signature', both, async ([headerChanges, claimChanges]) => {
    const answer = await fixture.requestToken({ assertion: await signAnything(headerChanges, claimChanges) })
    if (answer.status !== 200) {
      expectRefusal(answer, 400, answer.body.error)
      expect(['invalid_grant', 'invalid_scope']).toContain(answer.body.error)
      return
    }
    const token = decode(answer.body.access_token)
    expect(token.claims).toMatchObject({
      iss: server.issuer,
      sub: fixture.accountId,
      client_id: fixture.accountId,
    })
    expect(token.claims).not.toHaveProperty('act')
    expect(token.header).toMatchObject({ alg: 'ES256', typ: 'at+jwt' })
    expect(['read', 'write', 'read write', 'write read']).toContain(answer.body.scope)
  })
})

test('of all mutations of a good access token only the good one itself is active, and opens the management API', () =>
  fuzz('access token, mutated', mutations, async (mutate) => {
    const good = await goodToken()
    const token = mutate(good)
    const answer = await fixture.introspect(token)
    if (token === '' || token.includes('\0')) expectRefusal(answer, 400, 'invalid_request')
    // Whoever asks about too many tokens that nobody issued hears no more of them for a minute.
    else if (answer.status === 429) expect(answer.body.error).toBe('temporarily_unavailable')
    else expect(answer).toMatchObject({ status: 200, body: { active: token === good } })

    const operator = await server.operatorToken()
    const bearer = mutate(operator)
    if (!/^[\x21-\x7e]{1,8000}$/.test(bearer)) return
    const { status } = await fetch(`${server.url}/api/v1/me`, {
      headers: { authorization: `Bearer ${bearer}` },
    })
    if (bearer === operator) expect(status).toBe(200)
    else expect([400, 401]).toContain(status)
  }))

/** Signed anew when the last one has grown old: a long run takes longer than an assertion lives. */
const assertions = new Map<Fixture, { text: string; goodUntil: number }>()
async function goodAssertion(account: Fixture): Promise<string> {
  const known = assertions.get(account)
  if (known !== undefined && server.clock.now() < known.goodUntil) return known.text
  const text = await account.assertion({ jti: undefined })
  assertions.set(account, { text, goodUntil: server.clock.now() + 240_000 })
  return text
}

let token: { text: string; goodUntil: number } | undefined
async function goodToken(): Promise<string> {
  if (token === undefined || server.clock.now() > token.goodUntil) {
    token = { text: await fixture.getToken(), goodUntil: server.clock.now() + 600_000 }
  }
  return token.text
}

/** Signed over whatever stands there: jose's own checks of the header are not in the way. */
async function signAnything(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
): Promise<string> {
  const good = { alg: 'ES256', kid: fixture.keyId }
  const message = `${encode({ ...good, ...header })}.${encode(fixture.claims(claims))}`
  const key = { name: 'ECDSA', hash: 'SHA-256' }
  const signature = await crypto.subtle.sign(key, fixture.keyPair.privateKey, Buffer.from(message))
  return `${message}.${Buffer.from(signature).toString('base64url')}`
}
