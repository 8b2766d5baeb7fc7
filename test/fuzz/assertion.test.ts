import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decode, encode, signCompact } from '../support/jwt.ts'
import { type Answer, type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { countGrants, expectRefusal } from './support.ts'

const RUNS = 300
const TIMEOUT_MILLISECONDS = 60_000
/** More tokens that nobody issued are not answered in one minute (introspection throttle). */
const INTROSPECTION_RUNS = 150

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
})
afterAll(() => server.close())

/** One change to a text: what an attacker, a proxy or a broken client could do to it. */
const mutation: fc.Arbitrary<(text: string) => string> = fc.oneof(
  fc.tuple(fc.nat(), fc.string({ unit: 'binary', maxLength: 3 })).map(
    ([at, insert]) =>
      (text: string) =>
        splice(text, at, 0, insert),
  ),
  fc.tuple(fc.nat(), base64urlText(3)).map(
    ([at, replacement]) =>
      (text: string) =>
        splice(text, at, replacement.length, replacement),
  ),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 40 })).map(
    ([at, length]) =>
      (text: string) =>
        splice(text, at, length, ''),
  ),
  fc.tuple(fc.nat(), fc.nat()).map(
    ([one, other]) =>
      (text: string) =>
        swap(text, one, other),
  ),
  fc.nat().map((at) => (text: string) => text.slice(0, at % text.length)),
  fc.nat().map((at) => (text: string) => text + text.slice(at % text.length)),
  fc.nat().map((at) => (text: string) => flipCase(text, at)),
  fc
    .shuffledSubarray([0, 1, 2], { minLength: 1 })
    .map((order) => (text: string) => order.map((part) => text.split('.')[part] ?? '').join('.')),
  fc.constantFrom(
    (text: string) => encodeURIComponent(text).replaceAll('.', '%2E'),
    (text: string) => text.replaceAll('-', '+').replaceAll('_', '/'),
    (text: string) => `Bearer ${text}`,
    (text: string) => `"${text}"`,
    (text: string) => [...text].reverse().join(''),
  ),
)
const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 })

function base64urlText(maxLength: number): fc.Arbitrary<string> {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.='
  return fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength })
}

function splice(text: string, at: number, remove: number, insert: string): string {
  const position = at % (text.length + 1)
  return text.slice(0, position) + insert + text.slice(position + remove)
}

function swap(text: string, one: number, other: number): string {
  if (text.length === 0) return text
  const characters = text.split('')
  const [a, b] = [one % text.length, other % text.length]
  ;[characters[a], characters[b]] = [characters[b]!, characters[a]!]
  return characters.join('')
}

function flipCase(text: string, at: number): string {
  const position = at % (text.length + 1)
  const character = text[position] ?? ''
  const lower = character.toLowerCase()
  return splice(text, position, character.length, character === lower ? character.toUpperCase() : lower)
}

function mutate(text: string, changes: readonly ((text: string) => string)[]): string {
  return changes.reduce((current, change) => change(current).slice(0, 40_000), text)
}

/** The refusal of an assertion; of an absent one when nothing is left of it, of a bad form when it has a NUL. */
function expectRefused(answer: Answer, assertion: string): void {
  const isSent = assertion !== '' && !assertion.includes('\0')
  expectRefusal(answer, 400, isSent ? 'invalid_grant' : 'invalid_request')
}

test(
  '[7523-3.9a][7523-3.10] of all mutations of a good assertion only the good one itself is accepted',
  async () => {
    const good = await fixture.assertion({ jti: undefined })
    const before = await countGrants(server)
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const assertion = mutate(good, changes)
        const answer = await fixture.requestToken({ assertion })
        if (assertion !== good) expectRefused(answer, assertion)
        else {
          expect(answer.status).toBe(200)
          accepted++
        }
      }),
      { numRuns: RUNS },
    )
    expect(await countGrants(server)).toBe(before + accepted)
    expect((await fixture.requestToken({ assertion: good })).status).toBe(200)
  },
  TIMEOUT_MILLISECONDS,
)

test(
  '[7523-3.9a] no bit of header, payload or signature can be another',
  async () => {
    const good = await fixture.assertion({ jti: undefined })
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 2 }), fc.nat(), fc.nat({ max: 7 }), async (part, at, bit) => {
        const parts = good.split('.').map((text) => Buffer.from(text, 'base64url'))
        const bytes = parts[part]!
        bytes[at % bytes.length]! ^= 1 << bit
        const assertion = parts.map((octets) => octets.toString('base64url')).join('.')
        expectRefused(await fixture.requestToken({ assertion }), assertion)
      }),
      { numRuns: RUNS },
    )
  },
  TIMEOUT_MILLISECONDS,
)

test(
  '[7523-3.10][7521-4.1.1] header and claims of any JSON under a good signature are a token for the account or a refusal',
  async () => {
    const now = Math.floor(server.clock.now() / 1000)
    const anything = fc.oneof(
      fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' }),
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
    const header = changes(
      'alg',
      'kid',
      'typ',
      'cty',
      'crit',
      'b64',
      'zip',
      'jwk',
      'jku',
      'x5c',
      'enc',
      'foo',
    )
    await fc.assert(
      fc.asyncProperty(header, claims, async (headerChanges, claimChanges) => {
        const answer = await fixture.requestToken({
          assertion: await signAnything(headerChanges, claimChanges),
        })
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
      }),
      { numRuns: RUNS },
    )
  },
  TIMEOUT_MILLISECONDS,
)

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

test(
  'of all mutations of a good access token only the good one itself is active, and opens the management API',
  async () => {
    const good = await fixture.getToken()
    const operator = await server.operatorToken()
    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const token = mutate(good, changes)
        const answer = await fixture.introspect(token)
        if (token === '' || token.includes('\0')) expectRefusal(answer, 400, 'invalid_request')
        else expect(answer).toMatchObject({ status: 200, body: { active: token === good } })

        const bearer = mutate(operator, changes)
        if (!/^[\x21-\x7e]{1,8000}$/.test(bearer)) return
        const { status } = await fetch(`${server.url}/api/v1/me`, {
          headers: { authorization: `Bearer ${bearer}` },
        })
        if (bearer === operator) expect(status).toBe(200)
        else expect([400, 401]).toContain(status)
      }),
      { numRuns: INTROSPECTION_RUNS },
    )
  },
  TIMEOUT_MILLISECONDS,
)

test(
  '[7523-3.10] the good assertion of another algorithm survives its mutations as well',
  async () => {
    const account = await server.createFixture({ algorithm: 'EdDSA' })
    const header = { alg: 'EdDSA', kid: account.keyId }
    const good = await signCompact(header, account.claims({ jti: undefined }), account.keyPair.privateKey)
    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const assertion = mutate(good, changes)
        const answer = await account.requestToken({ assertion })
        if (assertion === good) expect(answer.status).toBe(200)
        else expectRefused(answer, assertion)
      }),
      { numRuns: RUNS / 2 },
    )
  },
  TIMEOUT_MILLISECONDS,
)
