import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type NewGrantRecord, recordGrants } from '../../../src/database/queries/grant-records.ts'
import { newId } from '../../../src/ids.ts'
import { type Fixture, startTestServer, type TestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

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

test('a recording that had to wait for a revocation names the key that took over, not the one it would have found', async () => {
  const { pool } = server.connection
  const idOf = async (status: string): Promise<string> => {
    const { rows } = await pool.query(
      `select id from signing_keys where algorithm = 'ES256' and status = '${status}'`,
    )
    return rows[0].id
  }
  const [active, next] = [await idOf('active'), await idOf('next')]
  const now = Math.floor(server.clock.now() / 1000) * 1000
  expect(await recordGrants(pool, now, [toGrant('before', now)])).toEqual([
    { outcome: 'recorded', used: null, signingKeyId: active },
  ])

  const revocation = await pool.connect()
  await revocation.query('begin')
  await revocation.query(`update signing_keys set status = 'gone' where id = '${active}'`)
  await revocation.query(`update signing_keys set status = 'active' where id = '${next}'`)
  await revocation.query('select pg_advisory_xact_lock(4207, 1)')
  const recording = recordGrants(pool, now, [
    toGrant('meanwhile', now),
    {
      ...toGrant('opaque', now),
      tokenFormat: 'opaque',
      tokenDigest: Buffer.alloc(32),
      signingAlgorithm: null,
    },
  ])
  await until(async () => {
    const { rows } = await pool.query(
      `select from pg_locks where locktype = 'advisory' and classid = 4207 and objid = 1 and not granted
         and database = (select oid from pg_database where datname = current_database())`,
    )
    return rows.length > 0 ? true : undefined
  })
  await revocation.query('commit')
  revocation.release()

  expect(await recording).toEqual([
    { outcome: 'recorded', used: null, signingKeyId: next },
    { outcome: 'recorded', used: null, signingKeyId: null },
  ])
})
