import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import supertest from 'supertest'
import { LEEWAY_SECONDS, MAX_TOKEN_LIFETIME_SECONDS } from '../../src/signing/lifecycle.ts'
import { decode } from '../support/jwt.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
})
afterAll(() => server.close())

async function published(): Promise<{ jwks: JSONWebKeySet; kids: string[]; maxAge: number; etag: string }> {
  const response = await fetch(`${server.issuer}/.well-known/jwks.json`)
  const jwks = (await response.json()) as JSONWebKeySet
  const maxAge = /^public, max-age=(\d+)$/.exec(response.headers.get('cache-control') ?? '')?.[1]
  return {
    jwks,
    kids: jwks.keys.map((key) => String(key.kid)),
    maxAge: Number(maxAge),
    etag: response.headers.get('etag') ?? '',
  }
}

/** As a resource server does that has this copy of the keys. */
const verify = (token: string, jwks: JSONWebKeySet) =>
  jwtVerify(token, createLocalJWKSet(jwks), {
    issuer: server.issuer,
    currentDate: new Date(server.clock.now()),
  })
const kidOf = (token: string) => String(decode(token).header.kid)

/** Lets time pass as the server's own maintenance sees it, in steps of an hour. */
async function pass(hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour++) {
    server.clock.advance(3_600)
    await server.maintainSigningKeys()
  }
}

test('[7517-5-3] the keys say how long they may be kept, and whether they have changed', async () => {
  const { etag, maxAge } = await published()
  expect(maxAge).toBeGreaterThan(0)
  expect(etag).toMatch(/^"[\w-]+"$/)
  // Not by fetch, which asks caches to look again.
  const unchanged = await supertest(server.url).get('/.well-known/jwks.json').set('if-none-match', etag)
  expect({ status: unchanged.status, text: unchanged.text }).toEqual({ status: 304, text: '' })
  expect(unchanged.headers).toMatchObject({ etag, 'cache-control': `public, max-age=${maxAge}` })
  const changed = await supertest(server.url).get('/.well-known/jwks.json').set('if-none-match', '"another"')
  expect(changed.status).toBe(200)
})

test('[7517-5-3] a new key is published for longer than any copy may be kept before a token is signed with it', async () => {
  const { maxAge } = await published()
  const copies = [{ at: server.clock.now(), jwks: (await published()).jwks }]
  const kids = new Set<string>()
  // Ninety days in big steps, then the days around the change hour by hour.
  for (const step of [...Array(29).fill(72), ...Array(96).fill(1)]) {
    server.clock.advance(step * 3_600)
    await server.maintain()
    await server.maintainSigningKeys()
    const token = await fixture.getToken()
    kids.add(kidOf(token))
    // Whoever has kept a copy for as long as they may finds the key in it.
    const oldest = copies.findLast(({ at }) => server.clock.now() - at >= maxAge * 1000)
    await verify(token, oldest?.jwks ?? copies[0]!.jwks)
    copies.push({ at: server.clock.now(), jwks: (await published()).jwks })
  }
  expect(kids.size).toBe(2)
})

test('[7517-5-3][7517-4.5] a token from before a rotation verifies until it has expired, and its key is there for so long', async () => {
  const day = await must(
    server.api('PATCH', `/resource-servers/${fixture.resourceServer.id}`, {
      token_lifetime_seconds: MAX_TOKEN_LIFETIME_SECONDS,
    }),
  )
  expect(day.token_lifetime_seconds).toBe(MAX_TOKEN_LIFETIME_SECONDS)
  await pass(2)
  await server.maintain()
  const before = await published()
  const token = await fixture.getToken()
  await must(server.api('POST', '/signing-keys/rotate'))

  const after = await published()
  expect(after.etag).not.toBe(before.etag)
  expect(new Set(after.kids).size).toBe(after.kids.length)
  const fresh = await fixture.getToken()
  expect(kidOf(fresh)).not.toBe(kidOf(token))
  expect(after.kids).toEqual(expect.arrayContaining([kidOf(token), kidOf(fresh)]))
  await verify(fresh, before.jwks)

  await pass(23)
  await verify(token, (await published()).jwks)
  expect((await fixture.introspect(token)).body.active).toBe(true)
  await pass(Math.ceil((MAX_TOKEN_LIFETIME_SECONDS + LEEWAY_SECONDS) / 3_600) - 22)
  expect((await published()).kids).not.toContain(kidOf(token))
  await server.maintain()
  expect((await fixture.introspect(token)).body).toEqual({ active: false })
})
