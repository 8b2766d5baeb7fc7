import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type NewGrantRecord, recordGrants } from '../../../src/database/queries/grant-records.ts'
import { newId } from '../../../src/ids.ts'
import { type Fixture, startTestServer, type TestServer } from '../../support/server.ts'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
})

afterAll(() => server.close())

/** All of one second: a jti is claimed together with the expiry of its assertion. */
function toGrant(jti: string, now: number): NewGrantRecord {
  return {
    id: newId('tok', now),
    accountId: fixture.accountId,
    keyId: fixture.keyId,
    jti,
    assertionExpiresAt: now + 300_000,
    resourceServerId: fixture.resourceServer.id,
    subject: fixture.accountId,
    scope: 'read',
    tokenFormat: 'jwt',
    tokenDigest: null,
    issuedAt: now,
    expiresAt: now + 900_000,
    clientIp: null,
    userAgent: null,
    requestId: 'test',
    quota: null,
    signingAlgorithm: 'ES256',
    confirmation: null,
    proof: null,
  }
}

test('batches of two nodes that claim the same assertions, each in its own order, do not stop each other', async () => {
  for (let round = 0; round < 10; round++) {
    const now = Math.floor(server.clock.now() / 1000) * 1000
    const jtis = Array.from({ length: 200 }, (_, index) => `${round}-${index}`)
    const outcomes = await Promise.all(
      [jtis, jtis.toReversed()].map((order) =>
        recordGrants(
          server.connection.pool,
          now,
          order.map((jti) => toGrant(jti, now)),
        ),
      ),
    )
    const recorded = outcomes.flat().filter(({ outcome }) => outcome === 'recorded')
    expect(recorded).toHaveLength(jtis.length)
  }
})
