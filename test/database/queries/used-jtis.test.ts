import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { recordGrants } from '../../../src/database/queries/grant-records.ts'
import { type AccountJtiUse, claimAccountJtis, claimJtis } from '../../../src/database/queries/used-jtis.ts'
import { newId } from '../../../src/ids.ts'
import { type Fixture, startTestServer, type TestServer } from '../../support/server.ts'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
})

afterAll(() => server.close())

const pool = () => server.connection.pool
/** Of all assertions here, five minutes from now: the same `jti` with another one is another assertion. */
const EXPIRY = Math.floor(Date.now() / 1000) * 1000 + 300_000
const digest = (jti: string) => createHash('sha256').update(jti).digest()
const use = (owner: string, jti: string, expiresAt = EXPIRY) => ({ owner, digest: digest(jti), expiresAt })
const ofAccount = (jti: string, accountId = fixture.accountId): AccountJtiUse => ({
  accountId,
  keyId: fixture.keyId,
  jti,
  expiresAt: EXPIRY,
  ip: '203.0.113.1',
  userAgent: null,
})
const claim = (uses: AccountJtiUse[]) => claimAccountJtis(pool(), server.clock.now(), uses)

/** Asks for a token with an assertion that bears a jti. */
async function recordsGrant(jti: string): Promise<boolean> {
  const now = server.clock.now()
  const [grant] = await recordGrants(pool(), now, [
    {
      id: newId('tok', now),
      accountId: fixture.accountId,
      keyId: fixture.keyId,
      jti,
      assertionExpiresAt: EXPIRY,
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
    },
  ])
  return grant?.outcome === 'recorded'
}

describe('a jti is claimed once', () => {
  test('by one owner; another has ids of their own', async () => {
    expect(await claimJtis(pool(), [use('rs_one', 'a'), use('rs_two', 'a')])).toEqual([true, true])
    expect(await claimJtis(pool(), [use('rs_one', 'a'), use('rs_one', 'b')])).toEqual([false, true])
  })

  test('of equal ones in a batch by the first', async () => {
    const batch = ['x', 'y', 'x', 'x'].map((jti) => use('rs_batch', jti))
    expect(await claimJtis(pool(), batch)).toEqual([true, true, false, false])
    const accounts = ['x', 'y', 'x', 'x'].map((jti) => ofAccount(jti))
    expect(await claim(accounts)).toEqual([true, true, false, false])
    expect(await claim(accounts)).toEqual([false, false, false, false])
  })

  test('however many batches race for it, each in its own order', async () => {
    for (let round = 0; round < 5; round++) {
      const jtis = Array.from({ length: 200 }, (_, index) => `race-${round}-${index}`)
      const orders = [jtis, jtis.toReversed(), jtis]
      const own = await Promise.all(
        orders.map((order) =>
          claimJtis(
            pool(),
            order.map((jti) => use('rs_race', jti)),
          ),
        ),
      )
      const account = await Promise.all(orders.map((order) => claim(order.map((jti) => ofAccount(jti)))))
      expect(own.flat().filter(Boolean)).toHaveLength(jtis.length)
      expect(account.flat().filter(Boolean)).toHaveLength(jtis.length)
    }
  })
})

describe('the assertions of an account are one set', () => {
  test('one that got a token cannot authenticate', async () => {
    expect(await recordsGrant('token-first')).toBe(true)
    expect(await claim([ofAccount('token-first')])).toEqual([false])
  })

  test('one that authenticated gets no token', async () => {
    expect(await claim([ofAccount('claim-first')])).toEqual([true])
    expect(await recordsGrant('claim-first')).toBe(false)
    expect(await recordsGrant('another')).toBe(true)
  })

  test('one that does both at a time succeeds once', async () => {
    for (let round = 0; round < 40; round++) {
      const jti = `both-${round}`
      const [granted, claimed] = await Promise.all([recordsGrant(jti), claim([ofAccount(jti)])])
      expect({ round, uses: [granted, ...claimed].filter(Boolean).length }).toEqual({ round, uses: 1 })
    }
  })
})
