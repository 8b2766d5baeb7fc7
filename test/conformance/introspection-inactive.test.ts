import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { KeyRing } from '../../src/signing/key-ring.ts'
import { createKeyPair, decode, encode, signCompact } from '../support/jwt.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { findLogLine } from './support.ts'

let server: TestServer
let keyRing: KeyRing

beforeAll(async () => {
  server = await startTestServer()
  keyRing = server.keyRing
})

afterAll(() => server.close())

/** Every byte of an answer but for the two values that differ between any two, and its request id. */
async function introspectRaw(fixture: Fixture, token: string): Promise<{ bytes: string; headers: Headers }> {
  const body = new URLSearchParams({ token }).toString()
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(server.url).port) })
  socket.write(
    [
      'POST /oauth/introspect HTTP/1.1',
      'Host: 127.0.0.1',
      `Authorization: ${fixture.resourceServer.authorization}`,
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
  const text = Buffer.concat(await socket.toArray()).toString('latin1')
  const requestId = /\r\nX-Request-Id: (.*)\r\n/i.exec(text)?.[1] ?? ''
  const bytes = text.replace(requestId, '…').replace(/\r\nDate: .*\r\n/, '\r\nDate: …\r\n')
  return { bytes, headers: new Headers({ 'x-request-id': requestId }) }
}

/** The claims of a live token, changed, under a signature of the server's own key. */
async function resign(
  fixture: Fixture,
  changes: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  const token = decode(await fixture.getToken())
  const { privateKey } = await keyRing.activeKey('ES256')
  return signCompact({ ...token.header, ...header }, { ...token.claims, ...changes }, privateKey)
}

/** A token, after something was done to what it hangs on. */
async function after(
  fixture: Fixture,
  method: string,
  path: string,
  body?: Record<string, unknown>,
): Promise<string> {
  const token = await fixture.getToken()
  const { jti } = (await fixture.introspect(token)).body
  expect(jti).toBeDefined()
  await must(server.api(method, path.replace('{jti}', jti), body))
  return token
}

type Cause = [what: string, why: string, make: (fixture: Fixture) => Promise<string> | string]

const OF_ANY_FORMAT: Cause[] = [
  ['that was revoked', 'revoked', (f) => after(f, 'DELETE', `${f.accountPath}/tokens/{jti}`)],
  ['revoked with all of its account', 'revoked', (f) => after(f, 'DELETE', `${f.accountPath}/tokens`)],
  ['of a deleted key', 'key_ended', (f) => after(f, 'DELETE', `${f.accountPath}/keys/${f.keyId}`)],
  [
    'of a disabled key',
    'key_ended',
    (f) => after(f, 'PATCH', `${f.accountPath}/keys/${f.keyId}`, { status: 'disabled' }),
  ],
  [
    'of a key that was disabled and is enabled again',
    'revoked',
    async (f) => {
      const path = `${f.accountPath}/keys/${f.keyId}`
      const token = await after(f, 'PATCH', path, { status: 'disabled' })
      await must(server.api('PATCH', path, { status: 'active' }))
      return token
    },
  ],
  ['of a deleted account', 'account_ended', (f) => after(f, 'DELETE', f.accountPath)],
  ['of a disabled account', 'account_ended', (f) => after(f, 'PATCH', f.accountPath, { status: 'disabled' })],
  [
    'of a disabled organization',
    'organization_ended',
    (f) => after(f, 'PATCH', `/organizations/${f.organizationId}`, { status: 'disabled' }),
  ],
  [
    'of an account that lost all its permissions',
    'nothing_granted',
    (f) => after(f, 'PATCH', f.accountPath, { permissions: [] }),
  ],
  [
    'for another audience',
    'other_audience',
    async () => (await server.createFixture({ algorithm: 'ES256' })).getToken(),
  ],
]

const FORGED: Cause[] = [
  [
    'under another key',
    'signature_invalid',
    async (f) => {
      const { header, claims } = decode(await f.getToken())
      return signCompact(header, claims, (await createKeyPair('ES256')).privateKey)
    },
  ],
  [
    'with the alg none',
    'signature_invalid',
    async (f) => {
      const { header, claims } = decode(await f.getToken())
      return `${encode({ ...header, alg: 'none' })}.${encode(claims)}.AA`
    },
  ],
  [
    'without a signature',
    'malformed',
    async (f) => {
      const { header, claims } = decode(await f.getToken())
      return `${encode({ ...header, alg: 'none' })}.${encode(claims)}.`
    },
  ],
  [
    'with the kid of another algorithm’s key',
    'signature_invalid',
    async (f) => resign(f, {}, { kid: (await keyRing.activeKey('RS256')).kid }),
  ],
  ['with an unknown kid', 'signature_invalid', (f) => resign(f, {}, { kid: 'sig_unknown' })],
  ['without a kid', 'signature_invalid', (f) => resign(f, {}, { kid: undefined })],
  ['of another issuer', 'signature_invalid', (f) => resign(f, { iss: 'https://elsewhere.example' })],
  ['of another typ', 'signature_invalid', (f) => resign(f, {}, { typ: 'JWT' })],
  [
    'past its exp by a second',
    'expired',
    (f) => resign(f, { exp: Math.floor(server.clock.now() / 1000) - 1 }),
  ],
  ['without an exp', 'expired', (f) => resign(f, { exp: undefined })],
  ['with an id that nobody has', 'unknown', (f) => resign(f, { jti: `tok_01m7yqm6c0${'0'.repeat(26)}` })],
  [
    'with the client_id of another account',
    'unknown',
    (f) => resign(f, { client_id: `acc_01m7yqm6c0${'0'.repeat(26)}` }),
  ],
  ['whose claims are no texts', 'malformed', (f) => resign(f, { client_id: { a: 1 }, jti: [] })],
]

const STRANGE: Cause[] = [
  ['well-formed and unknown', 'unknown', () => `cst_${randomBytes(32).toString('base64url')}`],
  ['like a refresh token', 'malformed', () => `1//0g${randomBytes(40).toString('base64url')}`],
  ['an assertion', 'signature_invalid', (f) => f.assertion()],
  ['the resource server’s own secret', 'malformed', (f) => f.resourceServer.secret],
  ['JSON', 'malformed', () => '{"active":true}'],
  ['with white space around', 'malformed', async (f) => ` ${await f.getToken()} `],
  ['not ASCII', 'malformed', () => 'токен\u{1f511}'],
  ['with line breaks', 'malformed', () => 'a\r\nX-Active: true'],
  ['100 000 characters long', 'malformed', () => 'a'.repeat(100_000)],
  ['a hundred parts', 'malformed', () => 'e30.'.repeat(100)],
]

describe.each<[string, 'jwt' | 'opaque', Cause[]]>([
  ['a JWT', 'jwt', OF_ANY_FORMAT],
  ['an opaque token', 'opaque', OF_ANY_FORMAT],
  ['a forged JWT', 'jwt', FORGED],
  ['a text,', 'jwt', STRANGE],
])('%s', (kind, tokenFormat, causes) => {
  /** For tokens that leave everything as it is. */
  let shared: Fixture
  let reference: string

  beforeAll(async () => {
    shared = await server.createFixture({ algorithm: 'ES256' })
    reference = (await introspectRaw(shared, 'unknown')).bytes
  })

  test.each(causes)(
    `[7662-2.2-6][7662-2.2-7][7662-2.2-10] ${kind} %s is just inactive (the log says %s)`,
    async (_what, why, make) => {
      const fixture =
        causes === OF_ANY_FORMAT ? await server.createFixture({ algorithm: 'ES256', tokenFormat }) : shared
      const { bytes, headers } = await introspectRaw(fixture, await make(fixture))
      expect(bytes).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n\{"active":false\}$/)
      expect(bytes).toBe(reference)
      expect((await findLogLine(server, { headers })).inactive).toBe(why)
    },
  )
})

test('[7662-4-1] the control: a token signed again and unchanged is active', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  expect((await fixture.introspect(await resign(fixture, {}))).body.active).toBe(true)
})

test('[7662-4-1] a JWT under another key, with alg none or past its exp is not active', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  for (const [, , make] of FORGED) {
    expect((await fixture.introspect(await make(fixture))).body).toEqual({ active: false })
  }
})

describe('time', () => {
  test.each(['jwt', 'opaque'] as const)(
    '[7662-2.2-6] a token (%s) ends with the second of its exp',
    async (tokenFormat) => {
      const fixture = await server.createFixture({ algorithm: 'ES256', tokenFormat })
      const token = await fixture.getToken()
      const { exp } = (await fixture.introspect(token)).body
      server.clock.advance(exp - 1 - Math.floor(server.clock.now() / 1000))
      expect((await fixture.introspect(token)).body.active).toBe(true)
      server.clock.advance(1)
      const answer = await fixture.introspect(token)
      expect(answer.text).toBe('{"active":false}')
      expect((await findLogLine(server, answer)).inactive).toBe('expired')
    },
  )

  test('[7662-2.2-6] a token of a key that has expired is not active', async () => {
    const fixture = await server.createFixture({ algorithm: 'ES256' })
    const expiresAt = new Date(server.clock.now() + 120_000).toISOString()
    await must(server.api('PATCH', `${fixture.accountPath}/keys/${fixture.keyId}`, { expires_at: expiresAt }))
    const token = await fixture.getToken()
    server.clock.advance(121)
    const answer = await fixture.introspect(token)
    expect(answer.text).toBe('{"active":false}')
    expect((await findLogLine(server, answer)).inactive).toBe('key_ended')
  })

  test.each(['jwt', 'opaque'] as const)(
    '[7662-2.2-6] a token (%s) from the future is not active, beyond what clocks may differ',
    async (tokenFormat) => {
      const fixture = await server.createFixture({ algorithm: 'ES256', tokenFormat })
      const token = await fixture.getToken()
      server.clock.advance(-25)
      expect((await fixture.introspect(token)).body.active).toBe(true)
      server.clock.advance(-10)
      const answer = await fixture.introspect(token)
      server.clock.advance(35)
      expect(answer.text).toBe('{"active":false}')
      expect((await findLogLine(server, answer)).inactive).toBe('not_yet_valid')
    },
  )

  test('[7662-2.2-7] answers about revoked and unknown tokens take about as long', async () => {
    const fixture = await server.createFixture({ algorithm: 'ES256', tokenFormat: 'opaque' })
    const revoked = await after(fixture, 'DELETE', `${fixture.accountPath}/tokens/{jti}`)
    const unknown = `cst_${randomBytes(32).toString('base64url')}`
    const taken: Record<string, number[]> = { [revoked]: [], [unknown]: [] }
    for (let round = 0; round < 25; round++) {
      for (const token of [revoked, unknown]) {
        const startedAt = performance.now()
        await fixture.introspect(token)
        taken[token]?.push(performance.now() - startedAt)
      }
    }
    const median = (token: string) => taken[token]?.sort((a, b) => a - b)[12] ?? Number.NaN
    expect(Math.abs(median(revoked) - median(unknown))).toBeLessThan(10)
  })
})
