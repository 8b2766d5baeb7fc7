import { sign as signBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { exportJWK, type JWK } from 'jose'
import { createNonces } from '../../src/possession/nonces.ts'
import type { KeyRing, SigningKey } from '../../src/signing/key-ring.ts'
import { asClient, byAssertion, createCaller, type Signer } from '../support/client-assertions.ts'
import { createProver } from '../support/dpop.ts'
import { decode, encode } from '../support/jwt.ts'
import {
  type Answer,
  type Fixture,
  startTestServer,
  TEST_KEY_ENCRYPTION_KEYS,
  type TestServer,
  toAnswer,
} from '../support/server.ts'
import { expectNothingIssued, expectRefusal } from './support.ts'

/** Where this server takes a JWT from somebody. */
export const PLACES = [
  'an assertion',
  'a client assertion',
  'a client assertion at introspection',
  'a token at introspection',
  'a token for the management API',
  'a DPoP proof',
] as const
export type PlaceName = (typeof PLACES)[number]
/** The places that take a JWT in a form, where any character may stand. */
export const IN_A_FORM: readonly PlaceName[] = PLACES.filter(
  (name) => name !== 'a token for the management API' && name !== 'a DPoP proof',
)
/** Those where the key is one that the server knows; a DPoP proof brings its own, and is told by it alone. */
export const BY_KNOWN_KEYS: readonly PlaceName[] = PLACES.filter((name) => name !== 'a DPoP proof')
/** Those that take an assertion. */
export const ASSERTIONS: readonly PlaceName[] = [
  'an assertion',
  'a client assertion',
  'a client assertion at introspection',
]

/**
 * A place with all that it takes to forge a JWT that is wrong in one thing only: the right key signs whatever
 * is asked, so that a refusal is never owed to the signature.
 */
export type Place = {
  name: PlaceName
  /** A header and claims that are accepted, with some members changed; undefined removes one. */
  header(changes?: Record<string, unknown>): Record<string, unknown>
  claims(changes?: Record<string, unknown>): Record<string, unknown>
  publicJwk: JWK
  /** The signature of any bytes by the right key, as the good header says. */
  signMessage(message: string): Promise<Buffer>
  send(jwt: string): Promise<Answer>
  expectAccepted(jwt: string): Promise<void>
  /** The whole refusal of this place, and that nothing of the JWT is in it. */
  expectRefused(jwt: string): Promise<void>
}

export type Places = {
  server: TestServer
  /** The account of the assertions, and the resource server that introspects. */
  fixture: Fixture
  /** The server's own private keys. */
  keyRing: KeyRing
  at(name: PlaceName): Place
}

/** Starts a server for the tests of a file. What it answers is filled before the first test runs. */
export function usePlaces(): Places {
  const places = {} as { -readonly [Key in keyof Places]: Places[Key] }
  beforeAll(async () => {
    const server = await startTestServer()
    const fixture = await server.createFixture()
    const { keyRing } = server
    const key = await keyRing.activeKey('ES256')
    const all = new Map<PlaceName, Place>([
      ['an assertion', assertionPlace(server, fixture)],
      ['a client assertion', clientPlace(server, fixture)],
      ['a client assertion at introspection', await callerPlace(server, fixture)],
      ['a token at introspection', await introspectionPlace(fixture, key, keyRing)],
      ['a token for the management API', await managementPlace(server, key, keyRing)],
      ['a DPoP proof', await proofPlace(server, fixture)],
    ])
    Object.assign(places, { server, fixture, keyRing, at: (name: PlaceName) => all.get(name) as Place })
  })
  afterAll(() => places.server.close())
  return places
}

/** Signs header and payload as they are: text and bytes stay what they are, objects become JSON. */
export async function forge(
  place: Place,
  header: string | Uint8Array | object,
  payload: string | Uint8Array | object,
): Promise<string> {
  return forgeParts(place, encodePart(header), encodePart(payload))
}

/** Signs two parts that are already encoded, well or badly. */
export async function forgeParts(place: Place, header: string, payload: string): Promise<string> {
  const message = `${header}.${payload}`
  return `${message}.${(await place.signMessage(message)).toString('base64url')}`
}

export function encodePart(value: string | Uint8Array | object): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64url') : encode(value)
}

/** The rows of conformance.md, in brackets; what the JWT is; how it is made; where, if not everywhere. */
export type RefusalCase = [
  ids: string,
  what: string,
  make: (place: Place) => string | Promise<string>,
  where?: readonly PlaceName[],
]

/** One test for each case and place; and that the good JWT, of which all are made, is accepted there. */
export function testRefusals(places: Places, cases: readonly RefusalCase[]): void {
  const flat = cases.flatMap(([ids, what, make, where = PLACES]) =>
    where.map((name) => ({ title: `${ids} ${what} is refused as ${name}`, make, name })),
  )
  test.each(flat)('$title', async ({ make, name }) => {
    const place = places.at(name)
    await place.expectRefused(await make(place))
  })
  test.each(PLACES)('the good JWT that these were made of is accepted as %s', async (name) => {
    const place = places.at(name)
    await place.expectAccepted(await forge(place, place.header(), place.claims()))
  })
}

function assertionPlace(server: TestServer, fixture: Fixture): Place {
  const send = (assertion: string) => fixture.requestToken({ assertion })
  return {
    name: 'an assertion',
    header: (changes) => withChanges({ alg: 'RS256', kid: fixture.keyId }, changes),
    claims: fixture.claims,
    publicJwk: fixture.keyPair.publicJwk,
    signMessage: async (message) => signBytes('sha256', Buffer.from(message), fixture.keyPair.privateKeyPem),
    send,
    async expectAccepted(jwt) {
      expect((await send(jwt)).body).toMatchObject({ token_type: 'Bearer' })
    },
    async expectRefused(jwt) {
      const answer = await expectNothingIssued(server, () => send(jwt))
      expectRefusal(answer, 400, 'invalid_grant')
      expectNoEcho(answer, jwt)
    },
  }
}

function clientPlace(server: TestServer, fixture: Fixture): Place {
  const send = (assertion: string) =>
    server.post('/oauth/token', { grant_type: 'client_credentials', ...byAssertion(assertion) })
  return {
    name: 'a client assertion',
    ...assertionForger(asClient(server, fixture)),
    send,
    async expectAccepted(jwt) {
      expect((await send(jwt)).body).toMatchObject({ token_type: 'Bearer' })
    },
    async expectRefused(jwt) {
      const answer = await expectNothingIssued(server, () => send(jwt))
      expectRefusal(answer, 400, 'invalid_client')
      expectNoEcho(answer, jwt)
    },
  }
}

async function callerPlace(server: TestServer, fixture: Fixture): Promise<Place> {
  const token = await fixture.getToken()
  const caller = await createCaller(server, fixture.resourceServer.id, { algorithm: 'RS256' })
  const send = (assertion: string) => server.post('/oauth/introspect', { token, ...byAssertion(assertion) })
  return {
    name: 'a client assertion at introspection',
    ...assertionForger(caller),
    send,
    async expectAccepted(jwt) {
      expect((await send(jwt)).body).toMatchObject({ active: expect.any(Boolean) })
    },
    async expectRefused(jwt) {
      const answer = await send(jwt)
      expectRefusal(answer, 401, 'invalid_client')
      expectNoEcho(answer, jwt)
    },
  }
}

function assertionForger({ keyId, keyPair, claims }: Signer) {
  return {
    header: (changes?: Record<string, unknown>) => withChanges({ alg: 'RS256', kid: keyId }, changes),
    claims,
    publicJwk: keyPair.publicJwk,
    signMessage: async (message: string) => signBytes('sha256', Buffer.from(message), keyPair.privateKeyPem),
  }
}

async function introspectionPlace(fixture: Fixture, key: SigningKey, keyRing: KeyRing): Promise<Place> {
  const token = await fixture.getToken()
  const send = (jwt: string) => fixture.introspect(jwt)
  return {
    name: 'a token at introspection',
    ...(await tokenForger(token, key, keyRing)),
    send,
    async expectAccepted(jwt) {
      expect((await send(jwt)).body).toMatchObject({ active: true, client_id: fixture.accountId })
    },
    async expectRefused(jwt) {
      const answer = await send(jwt)
      expect({ status: answer.status, body: answer.body }).toEqual({ status: 200, body: { active: false } })
      expect(answer.headers.get('cache-control')).toBe('no-store')
    },
  }
}

async function managementPlace(server: TestServer, key: SigningKey, keyRing: KeyRing): Promise<Place> {
  const token = await server.operatorToken()
  const send = async (jwt: string) =>
    toAnswer(await fetch(`${server.url}/api/v1/me`, { headers: { authorization: `Bearer ${jwt}` } }))
  return {
    name: 'a token for the management API',
    ...(await tokenForger(token, key, keyRing)),
    send,
    async expectAccepted(jwt) {
      expect((await send(jwt)).status).toBe(200)
    },
    async expectRefused(jwt) {
      const answer = await send(jwt)
      // RFC 6750 §3.1: what is no b64token is a malformed request, anything else an invalid token.
      const isToken = /^[A-Za-z0-9\-._~+/]+=*$/.test(jwt)
      expect(answer.status).toBe(isToken ? 401 : 400)
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(answer.headers.get('www-authenticate')).toContain(
        isToken ? 'error="invalid_token"' : 'error="invalid_request"',
      )
      expectNoEcho(answer, jwt)
    },
  }
}

/** In the header of a token request that is good but for it. */
async function proofPlace(server: TestServer, fixture: Fixture): Promise<Place> {
  const prover = await createProver(server, 'RS256')
  const { keyPair, header } = prover
  const nonces = createNonces({
    keyEncryptionKeys: TEST_KEY_ENCRYPTION_KEYS,
    purpose: 'token endpoint',
    clock: server.clock,
  })
  const send = async (dpop: string) => {
    const assertion = await fixture.assertion()
    return server.post(
      '/oauth/token',
      { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion },
      { dpop },
    )
  }
  return {
    name: 'a DPoP proof',
    header,
    claims: (changes) => prover.claims({ nonce: nonces.present() }, changes),
    publicJwk: keyPair.publicJwk,
    signMessage: async (message) => signBytes('sha256', Buffer.from(message), keyPair.privateKeyPem),
    send,
    async expectAccepted(jwt) {
      expect((await send(jwt)).body).toMatchObject({ token_type: 'DPoP' })
    },
    async expectRefused(jwt) {
      const answer = await expectNothingIssued(server, () => send(jwt))
      expectRefusal(answer, 400, 'invalid_dpop_proof')
      expectNoEcho(answer, jwt)
    },
  }
}

/** What the server itself could sign: another kind of JWT, or one that a mistake of ours let out. */
async function tokenForger(token: string, key: SigningKey, keyRing: KeyRing) {
  const good = decode(token)
  return {
    header: (changes?: Record<string, unknown>) => withChanges(good.header, changes),
    claims: (changes?: Record<string, unknown>) => withChanges(good.claims, changes),
    publicJwk: await exportJWK((await keyRing.verificationKey(key.kid))!.publicKey),
    signMessage: async (message: string) =>
      signBytes('sha256', Buffer.from(message), { key: key.privateKey, dsaEncoding: 'ieee-p1363' }),
  }
}

function withChanges(good: Record<string, unknown>, changes: Record<string, unknown> = {}) {
  return Object.fromEntries(
    Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined),
  )
}

function expectNoEcho(answer: Answer, jwt: string): void {
  for (const part of jwt.split('.').filter((candidate) => candidate.length > 8)) {
    expect(answer.text).not.toContain(part)
  }
}
