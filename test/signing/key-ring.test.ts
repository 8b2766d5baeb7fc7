import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { preparePartitions } from '../../src/database/partitions.ts'
import { ensureInstallation } from '../../src/directory/installation.ts'
import { startSigningKeyMaintenance } from '../../src/directory/signing-key-maintenance.ts'
import { maintainSigningKeys } from '../../src/directory/signing-keys.ts'
import type { KeyEncryptionKeys } from '../../src/signing/envelope.ts'
import { type KeyRing, openKeyRing, type PublishedKey } from '../../src/signing/key-ring.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createTestClock } from '../support/test-clock.ts'

const [KEY, OTHER]: KeyEncryptionKeys[] = [[Buffer.alloc(32, 1)], [Buffer.alloc(32, 2)]]
const clock = createTestClock()

let database: TestDatabase
let connection: DatabaseConnection
const told: (readonly PublishedKey[])[] = []
let ring: KeyRing
beforeAll(async () => {
  database = await createTestDatabase()
  connection = connect()
  await preparePartitions(connection.db, clock.now())
  await ensureInstallation(connection.db, { issuer: 'https://id.example.test', clock })
  ring = await openKeyRing({ ...toServices(KEY), onChange: (keys) => told.push(keys) })
})
afterAll(async () => {
  await connection.close()
  await database.drop()
})

function connect(): DatabaseConnection {
  return connectDatabase(database.address, { maxConnections: 4, onIdleError: () => undefined })
}

function toServices(keyEncryptionKeys: KeyEncryptionKeys | undefined) {
  return {
    db: connection.db,
    clock,
    keyEncryptionKeys: keyEncryptionKeys as KeyEncryptionKeys,
    signingKeyRotationDays: 90,
  }
}

const maintain = (keys = KEY) => maintainSigningKeys(toServices(keys))
const idOf = (status: string) =>
  ring.published().find((key) => key.algorithm === 'ES256' && key.status === status)?.id as string

test('an empty database has no keys yet; those that are made first are no change', async () => {
  expect((await ring.jwks()).keys).toEqual([])
  await maintain()
  expect((await ring.jwks()).keys).toHaveLength(6)
  expect(told).toEqual([])
})

test('a ring opens with the key-encryption key of the keys, and with no other', async () => {
  await expect(openKeyRing(toServices(OTHER))).rejects.toThrow('encrypted under another key-encryption key')
  expect((await openKeyRing(toServices(KEY))).published()).toHaveLength(6)
})

test('first in the set stand those that sign', async () => {
  const { keys } = await ring.jwks()
  const kids = keys.slice(0, 3).map(({ kid }) => kid)
  expect(kids).toEqual(
    ring
      .published()
      .filter(({ status }) => status === 'active')
      .map(({ id }) => id),
  )
})

test('what has the form of no id of ours is not even looked up', async () => {
  for (const kid of ['', 'nonsense', `key_${'0'.repeat(36)}`, '__proto__', 'sig_']) {
    expect(await ring.verificationKey(kid)).toBeUndefined()
  }
})

test('a change is told once, and the keys that are named as they are then', async () => {
  const [active, next] = [idOf('active'), idOf('next')]
  clock.advance(91 * 86_400)
  await preparePartitions(connection.db, clock.now())
  await maintain()
  await Promise.all([ring.reload(), ring.reload(), ring.jwks(), ring.verificationKey(next)])
  expect(told).toHaveLength(1)
  expect(told[0]).toContainEqual(expect.objectContaining({ id: active, status: 'retiring', canSign: false }))
  expect(told[0]).toContainEqual(expect.objectContaining({ id: next, status: 'active', canSign: true }))
  expect((await ring.activeKey('ES256')).kid).toBe(next)
})

test('a key that a record has named and that signs no more since is replaced by the one that does', async () => {
  const retired = idOf('retiring')
  const revoked = idOf('next')
  await connection.pool.query(`update signing_keys set status = 'gone' where id = '${revoked}'`)
  await ring.reload()
  for (const kid of [retired, revoked, `sig_${'0'.repeat(36)}`]) {
    expect((await ring.signingKey(kid, 'ES256')).kid).toBe(idOf('active'))
  }
  await maintain()
  await ring.reload()
})

test('a key under a key-encryption key that this node lacks verifies, and is not taken for one that signs', async () => {
  await connection.pool.query(
    `update signing_keys set status = 'gone', wrapped_private_key = null where status = 'next'`,
  )
  await maintain(OTHER)
  await ring.reload()
  const closed = idOf('next')
  expect(ring.published()).toContainEqual(expect.objectContaining({ id: closed, canSign: false }))
  expect(await ring.verificationKey(closed)).toMatchObject({ kid: closed })
  await expect(ring.signingKey(closed, 'EdDSA')).resolves.toMatchObject({ algorithm: 'EdDSA' })
  await connection.pool.query(
    `update signing_keys set status = 'retiring' where status = 'active' and algorithm = 'ES256'`,
  )
  await connection.pool.query(`update signing_keys set status = 'active' where id = '${closed}'`)
  await expect(ring.signingKey(closed, 'ES256')).rejects.toThrow('no key-encryption key of this node opens')
  await expect(ring.activeKey('ES256')).rejects.toThrow('no key-encryption key of this node opens')
})

test('a node that cannot open the keys of the others adds none of its own', async () => {
  const count = async () => (await connection.pool.query('select from signing_keys')).rowCount
  const before = await count()
  clock.advance(92 * 86_400)
  await preparePartitions(connection.db, clock.now())
  const maintenance = startSigningKeyMaintenance(toServices(KEY), {
    keyRing: ring,
    onChange: () => undefined,
    onFailure: () => undefined,
  })
  await expect(maintenance).rejects.toThrow('no key-encryption key that opens')
  expect(await count()).toBe(before)
})

test('while the database cannot be reached the set is answered as it was last', async () => {
  const other = connect()
  const services = {
    ...toServices([...(KEY as KeyEncryptionKeys), ...(OTHER as KeyEncryptionKeys)]),
    db: other.db,
  }
  const lonely = await openKeyRing(services)
  const before = await lonely.jwks()
  await other.close()
  expect(await lonely.jwks()).toEqual(before)
  await expect(lonely.activeKey('ES256')).rejects.toThrow()
})
