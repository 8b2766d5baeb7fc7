import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { maintainPartitions } from '../../src/database/partitions.ts'
import { ensureInstallation } from '../../src/directory/installation.ts'
import { MANAGEMENT_PERMISSIONS } from '../../src/directory/management-permissions.ts'
import { registerOperatorKey } from '../../src/directory/operator-key.ts'
import { OperatorError } from '../../src/errors.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createKeyPair } from '../support/jwt.ts'
import { createTestClock } from '../support/test-clock.ts'

const clock = createTestClock()
const issuer = 'https://id.example.com'
let database: TestDatabase
let connection: DatabaseConnection
beforeEach(async () => {
  database = await createTestDatabase()
  connection = connectDatabase(database.address, { maxConnections: 6, onIdleError: () => undefined })
  await maintainPartitions(connection.db, clock.now(), { grantRecordDays: 30, auditEventDays: 400 })
})
afterEach(async () => {
  await connection.close()
  await database.drop()
})

const install = (options: { issuer?: string } = {}) =>
  ensureInstallation(connection.db, { issuer, clock, ...options })
const query = async (text: string, values: unknown[] = []) => (await connection.pool.query(text, values)).rows
const held = async () =>
  (await query('select permission from account_permissions order by permission')).map((row) => row.permission)
const ALL = MANAGEMENT_PERMISSIONS.map((permission) => permission.name).sort()

describe('the first start', () => {
  test('makes organization, management API and an operator that may do everything, and says so in the trail', async () => {
    const { organization, account, managementResourceServerId, createdNow } = await install()
    expect(createdNow).toBe(true)
    expect(organization).toMatchObject({ slug: 'operator', isOperator: true, status: 'active' })
    expect(account).toMatchObject({
      slug: 'operator',
      email: 'operator@operator.id.example.com',
      createdBy: 'system',
      assertionPolicy: { profile: 'google' },
    })
    const [server] = await query('select * from resource_servers')
    expect(server).toMatchObject({
      id: managementResourceServerId,
      identifier: `${issuer}/api/v1`,
      built_in: true,
      token_format: 'jwt',
      token_lifetime_seconds: 900,
    })
    expect(await held()).toEqual(ALL)
    const events = await query('select actor_kind, action from audit_events order by action')
    expect(new Set(events.map((event) => event.actor_kind))).toEqual(new Set(['system']))
    expect(events.map((event) => event.action)).toContain('organization.created')
  })

  test('of many nodes at once makes one of each', async () => {
    const results = await Promise.all(Array.from({ length: 5 }, () => install()))
    expect(results.filter((result) => result.createdNow)).toHaveLength(1)
    expect(new Set(results.map((result) => result.account?.id)).size).toBe(1)
    expect(await query('select 1 from organizations')).toHaveLength(1)
    expect(await query('select 1 from resource_servers')).toHaveLength(1)
  })
})

describe('a later start', () => {
  const everything = async () =>
    JSON.stringify(
      await Promise.all(
        [
          'organizations',
          'accounts',
          'resource_servers',
          'permissions',
          'account_permissions',
          'audit_events',
        ].map((table) => query(`select t::text from ${table} t order by 1`)),
      ),
    )

  test('changes nothing', async () => {
    await install()
    const before = await everything()
    expect((await install()).createdNow).toBe(false)
    expect(await everything()).toBe(before)
  })

  test('gives the operator what a newer version defines, and not back what was taken', async () => {
    await install()
    await query("delete from permissions where name = 'audit:read'")
    await query("delete from account_permissions where permission = 'organizations:read'")
    await install()
    expect(await held()).toEqual(ALL.filter((name) => name !== 'organizations:read'))
    await install()
    expect(await held()).not.toContain('organizations:read')
  })

  test('does not make a deleted operator again; its successors get what is new', async () => {
    const { account, managementResourceServerId } = await install()
    await query(
      `insert into accounts select 'acc_successor', organization_id, kind, name, 'successor', 'successor@x', description,
         owner_contact, status, assertion_policy, token_generation, created_at, created_by, updated_at from accounts`,
    )
    await query('update account_permissions set account_id = $1', ['acc_successor'])
    await query("update accounts set status = 'deleted' where id = $1", [account?.id])
    await query("delete from permissions where name = 'audit:read'")
    const again = await install()
    expect(again.account).toBeUndefined()
    expect(again.createdNow).toBe(false)
    expect(await held()).toEqual(ALL)
    expect(
      await query('select 1 from account_permissions where account_id = $1 and resource_server_id = $2', [
        'acc_successor',
        managementResourceServerId,
      ]),
    ).toHaveLength(ALL.length)
  })

  test('under another issuer moves the management API there, and leaves ids alone', async () => {
    const before = await install()
    const after = await install({ issuer: 'https://login.example.com' })
    expect(after.managementResourceServerId).toBe(before.managementResourceServerId)
    expect(after.account?.email).toBe(before.account?.email)
    const [server] = await query('select identifier from resource_servers')
    expect(server.identifier).toBe('https://login.example.com/api/v1')
  })

  test('under an issuer whose management API is somebody else’s is told to the operator', async () => {
    await install()
    await query(
      `insert into resource_servers select 'rs_squatter', 'https://taken.example/api/v1', name, false, token_format,
         signing_algorithm, token_lifetime_seconds, created_at, updated_at from resource_servers`,
    )
    await expect(install({ issuer: 'https://taken.example' })).rejects.toThrow(OperatorError)
  })
})

describe('registering a key of the operator', () => {
  const register = async (publicKey: unknown) => {
    const { organization, account } = await install()
    return registerOperatorKey(
      { db: connection.db, clock },
      { organization, account: account! },
      { publicKey: publicKey as string, name: 'operator' },
    )
  }

  test('happens once, however often and by however many at once it is asked for', async () => {
    const { publicJwk } = await createKeyPair('ES256')
    const results = await Promise.all([1, 2, 3].map(() => register(publicJwk)))
    expect(results.filter((result) => result.isNew)).toHaveLength(1)
    expect(await register(publicJwk)).toMatchObject({ isNew: false, key: { id: results[0]?.key.id } })
    expect(await query('select 1 from keys')).toHaveLength(1)
    expect(await query("select 1 from audit_events where action = 'key.created'")).toHaveLength(1)
  })

  test.each([
    ['revoked', "update keys set status = 'revoked'"],
    ['disabled', "update keys set status = 'disabled'"],
    ['expired', "update keys set expires_at = '2000-01-01'"],
  ])('is refused with one clear line for a key that is %s', async (state, statement) => {
    const { publicJwk } = await createKeyPair('ES256')
    await register(publicJwk)
    await query(statement)
    await expect(register(publicJwk)).rejects.toThrow(OperatorError)
    await expect(register(publicJwk)).rejects.toThrow(`registered already, and ${state} (key_`)
  })

  test('never takes a private key', async () => {
    const { privateKeyPem } = await createKeyPair('ES256')
    await expect(register(privateKeyPem)).rejects.toMatchObject({ reason: 'private_key_given' })
    expect(await query('select 1 from keys')).toHaveLength(0)
  })
})
