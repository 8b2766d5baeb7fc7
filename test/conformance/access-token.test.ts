import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { decode } from '../support/jwt.ts'
import { type Fixture, must, startTestServer, type TestServer, toAnswer } from '../support/server.ts'
import { expectNothingIssued, expectRefusal } from './support.ts'

let server: TestServer
let jwks: JSONWebKeySet

beforeAll(async () => {
  server = await startTestServer()
  jwks = (await toAnswer(await fetch(`${server.issuer}/.well-known/jwks.json`))).body
})

afterAll(() => server.close())

describe.each(['ES256', 'RS256', 'EdDSA'] as const)('an access token signed with %s', (signingAlgorithm) => {
  let fixture: Fixture
  let token: string

  beforeAll(async () => {
    fixture = await server.createFixture({ algorithm: 'ES256', signingAlgorithm })
    token = await fixture.getToken()
  })

  test(`[9068-2.1-1] is signed with ${signingAlgorithm} by a published key`, async () => {
    const { protectedHeader, payload } = await jwtVerify(token, createLocalJWKSet(jwks), {
      algorithms: [signingAlgorithm],
      issuer: server.issuer,
      audience: fixture.resourceServer.identifier,
      typ: 'at+jwt',
    })
    expect(protectedHeader.alg).toBe(signingAlgorithm)
    expect(payload.sub).toBe(fixture.accountId)
  })

  test(`[9068-2.1-2] has the typ at+jwt and nothing more in its header than alg and kid (${signingAlgorithm})`, () => {
    const { header } = decode(token)
    expect(header).toEqual({ alg: signingAlgorithm, typ: 'at+jwt', kid: expect.stringMatching(/^sig_/) })
  })

  test(`[9068-2.2-1][9068-6] has every required claim, of its type, and no more than it needs (${signingAlgorithm})`, () => {
    const { claims } = decode(token)
    expect(claims).toEqual({
      iss: server.issuer,
      sub: fixture.accountId,
      aud: fixture.resourceServer.identifier,
      client_id: fixture.accountId,
      iat: expect.any(Number),
      exp: expect.any(Number),
      jti: expect.stringMatching(/^tok_/),
      scope: 'read write',
      organization_id: fixture.organizationId,
      roles: [],
    })
    for (const time of [claims.iat, claims.exp]) expect(Number.isSafeInteger(time)).toBe(true)
    expect(Number(claims.exp) - Number(claims.iat)).toBe(900)
  })
})

test('[9068-2.2-2] the subject is the account, by whichever name the assertion calls it', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  const { accountEmail } = fixture
  const assertion = await fixture.assertion({ iss: accountEmail, sub: accountEmail })
  const { access_token } = (await fixture.requestToken({ assertion })).body
  expect(decode(access_token).claims).toMatchObject({ sub: fixture.accountId, client_id: fixture.accountId })
})

test('[9068-2.2.3-1] the scope is one text, in the order of the request', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  expect(decode(await fixture.getToken({ scope: 'write read' })).claims.scope).toBe('write read')
  expect(decode(await fixture.getToken({ scope: 'write' })).claims.scope).toBe('write')
})

describe('an account with permissions on two resource servers', () => {
  let fixture: Fixture
  let first: string
  let second: string

  beforeAll(async () => {
    fixture = await server.createFixture({ algorithm: 'ES256' })
    first = fixture.resourceServer.identifier
    const other = await must(
      server.api('POST', '/resource-servers', {
        identifier: 'https://invoices.example.test',
        name: 'Invoices',
        permissions: [{ name: 'invoices:read', description: 'Read invoices' }],
      }),
    )
    second = other.identifier
    await must(
      server.api('PATCH', fixture.accountPath, {
        permissions: [
          { resource_server_id: fixture.resourceServer.id, permission: 'read' },
          { resource_server_id: other.id, permission: 'invoices:read' },
        ],
      }),
    )
  })

  test('[9068-3-1][9068-5-1] gets a token whose only audience is the resource that it names', async () => {
    for (const resource of [first, second])
      expect(decode(await fixture.getToken({ resource })).claims.aud).toBe(resource)
  })

  test('[9068-3-2] gets the audience that fits the scope when it names none, never the assertion’s', async () => {
    expect(decode(await fixture.getToken({ scope: 'invoices:read' })).claims.aud).toBe(second)
    for (const aud of [server.issuer, server.tokenEndpoint]) {
      const assertion = await fixture.assertion({ aud, scope: 'read' })
      const { access_token } = (await fixture.requestToken({ assertion })).body
      expect(decode(access_token).claims.aud).toBe(first)
    }
  })

  test('[9068-3-2] gets nothing when neither scope nor resource says for whom', async () => {
    const answer = await expectNothingIssued(server, () => fixture.requestToken())
    expectRefusal(answer, 400, 'invalid_target')
  })

  test('[9068-2.2.3-2] gets no scope of the one for the other', async () => {
    const answer = await expectNothingIssued(server, () =>
      fixture.requestToken({ form: { scope: 'read', resource: second } }),
    )
    expectRefusal(answer, 400, 'invalid_scope')
  })

  test('[9068-3-3] gets no token that would be for both', async () => {
    const answer = await expectNothingIssued(server, () =>
      fixture.requestToken({ form: { scope: 'read invoices:read' } }),
    )
    expectRefusal(answer, 400, 'invalid_scope')
  })
})

describe('names that could collide', () => {
  test('[9068-5-1] two resource servers never have the same identifier', async () => {
    const { identifier } = (await server.createFixture({ algorithm: 'ES256' })).resourceServer
    const answer = await server.api('POST', '/resource-servers', { identifier, name: 'The same again' })
    expect(answer).toMatchObject({ status: 409, body: { code: 'identifier_taken' } })
  })

  test('[9068-5-2] nobody chooses the id that becomes the subject', async () => {
    const { accountId, organizationId } = await server.createFixture({ algorithm: 'ES256' })
    const path = `/organizations/${organizationId}/service-accounts`
    const answer = await server.api('POST', path, { id: accountId, name: 'Somebody else' })
    expect(answer.status).toBe(422)
    expect(answer.body.errors).toEqual([expect.objectContaining({ pointer: '/id' })])
  })

  test('[9068-5-2] two accounts of an organization never have the same slug, nor one that only looks alike', async () => {
    const { organizationId } = await server.createFixture({ algorithm: 'ES256' })
    const path = `/organizations/${organizationId}/service-accounts`
    await must(server.api('POST', path, { name: 'Sync', slug: 'sync-prod' }))
    const same = await server.api('POST', path, { name: 'Sync', slug: 'sync-prod' })
    expect(same).toMatchObject({ status: 409, body: { code: 'slug_taken' } })
    // Cyrillic s and o, a fullwidth hyphen, a zero-width space, capitals.
    for (const slug of ['ѕync-prod', 'sync-prоd', 'sync－prod', 'sync-\u200bprod', 'Sync-Prod'])
      expect((await server.api('POST', path, { name: 'Sync', slug })).status).toBe(422)
  })
})

test('[9068-p1] ids of tokens bear at least 128 random bits', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  const tokens = await Promise.all(Array.from({ length: 100 }, () => fixture.getToken()))
  const ids = tokens.map((token) => String(decode(token).claims.jti))
  expect(new Set(ids).size).toBe(100)
  // Five bits a character; every place of the random part takes many values.
  const random = ids.map((id) => id.slice('tok_'.length + 10))
  expect(random.every((text) => /^[0-9a-hjkmnp-tv-z]{26}$/.test(text))).toBe(true)
  for (let place = 0; place < 26; place++)
    expect(new Set(random.map((text) => text[place])).size).toBeGreaterThan(16)
})
