import { createPrivateKey } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createKeyPair } from '../support/jwt.ts'
import { createOrganization, expectProblem, pointersOf } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let keys: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  keys = `${fixture.accountPath}/keys`
})
afterAll(() => server.close())

const inDays = (days: number) => new Date(server.clock.now() + days * 86_400_000).toISOString()
const publicKey = async () => ({ type: 'public_key', public_key: (await createKeyPair('ES256')).publicJwk })

async function newAccount(settings?: unknown): Promise<string> {
  const { id } = await createOrganization(server, settings)
  const path = `/organizations/${id}/service-accounts`
  return `${path}/${(await must(server.api('POST', path, { name: 'holder' }))).id}`
}

describe('generating a key', () => {
  test('as JSON gives a key file once, and sets the profile that client libraries need', async () => {
    const account = await newAccount()
    const created = await server.api('POST', `${account}/keys`, { type: 'rsa' })
    expect(created.status).toBe(201)
    const { key, key_file } = created.body
    expect(key).toMatchObject({
      type: 'rsa',
      algorithm: 'RS256',
      modulus_length: 2048,
      status: 'active',
      kid: key.id,
    })
    expect(key.name).toBe(`RSA key ${key.created_at.slice(0, 10)}`)
    expect(created.headers.get('location')).toBe(`/api/v1${account}/keys/${key.id}`)
    expect(createPrivateKey(key_file.private_key).asymmetricKeyDetails?.modulusLength).toBe(2048)
    expect((await must(server.api('GET', account))).assertion_policy.profile).toBe('google')
    expect(await must(server.api('GET', `${account}/keys/${key.id}`))).toEqual(key)
  })

  test('as PEM or PKCS#12 gives those, and leaves the profile alone', async () => {
    const account = await newAccount()
    const pem = await must(
      server.api('POST', `${account}/keys`, {
        type: 'rsa',
        format: 'pem',
        modulus_length: 3072,
        algorithm: 'PS256',
      }),
    )
    expect(pem.key).toMatchObject({ modulus_length: 3072, algorithm: 'PS256' })
    expect(createPrivateKey(pem.private_key).asymmetricKeyType).toBe('rsa')
    const p12 = await must(server.api('POST', `${account}/keys`, { type: 'rsa', format: 'p12' }))
    expect(Object.keys(p12).sort()).toEqual(['key', 'p12', 'password'])
    expect(Buffer.from(p12.p12, 'base64')[0]).toBe(0x30)
    expect((await must(server.api('GET', account))).assertion_policy.profile).toBe('rfc7523')
  })

  test('is refused where the organization wants own keys only', async () => {
    const account = await newAccount({ allow_generated_keys: false })
    expectProblem(
      await server.api('POST', `${account}/keys`, { type: 'rsa' }),
      409,
      'key_generation_forbidden',
    )
    expect((await server.api('POST', `${account}/keys`, await publicKey())).status).toBe(201)
  })
})

describe('the life of a key', () => {
  test('ends in the future, after it begins', async () => {
    for (const [terms, pointer] of [
      [{ expires_at: inDays(-1) }, '/expires_at'],
      [{ not_before: inDays(5), expires_at: inDays(4) }, '/expires_at'],
      [{ expires_at: '2026-12-31T23:59:60Z' }, '/expires_at'],
      [{ not_before: '0000-01-01T00:00:00Z' }, '/not_before'],
    ] as const) {
      const answer = await server.api('POST', keys, { ...(await publicKey()), ...terms })
      expectProblem(answer, 422, 'input_invalid')
      expect(pointersOf(answer)).toEqual([pointer])
    }
  })

  test('is as long as the organization allows, at most and by default', async () => {
    const account = await newAccount({ max_key_lifetime_days: 30 })
    const byDefault = await must(server.api('POST', `${account}/keys`, await publicKey()))
    const days = (Date.parse(byDefault.key.expires_at) - Date.parse(byDefault.key.created_at)) / 86_400_000
    expect(days).toBe(30)
    for (const expires_at of [inDays(31), null]) {
      const answer = await server.api('POST', `${account}/keys`, { ...(await publicKey()), expires_at })
      expectProblem(answer, 422, 'input_invalid')
      const path = `${account}/keys/${byDefault.key.id}`
      expectProblem(await server.api('PATCH', path, { expires_at }), 422, 'input_invalid')
    }
    const shorter = await must(
      server.api('PATCH', `${account}/keys/${byDefault.key.id}`, { expires_at: inDays(3) }),
    )
    expect(Date.parse(shorter.expires_at)).toBeLessThan(Date.parse(byDefault.key.expires_at))
  })

  test('an expired key shows as expired; a new expiry revives the key but none of its former tokens', async () => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    const path = `${own.accountPath}/keys/${own.keyId}`
    await must(server.api('PATCH', path, { expires_at: new Date(server.clock.now() + 20_000).toISOString() }))
    const token = await own.getToken()
    expect((await own.introspect(token)).body.active).toBe(true)
    server.clock.advance(30)
    expect((await must(server.api('GET', path))).status).toBe('expired')
    expect((await own.introspect(token)).body).toEqual({ active: false })
    expect((await own.requestToken()).body.error).toBe('invalid_grant')
    expect((await must(server.api('PATCH', path, { expires_at: null }))).status).toBe('active')
    expect((await own.introspect(token)).body).toEqual({ active: false })
    expect((await own.introspect(await own.getToken())).body.active).toBe(true)
  })

  test('moving the expiry to a later moment leaves live tokens alone', async () => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    const token = await own.getToken()
    await must(server.api('PATCH', `${own.accountPath}/keys/${own.keyId}`, { expires_at: inDays(90) }))
    await must(server.api('PATCH', `${own.accountPath}/keys/${own.keyId}`, { expires_at: inDays(60) }))
    expect((await own.introspect(token)).body.active).toBe(true)
  })
})

describe('disabling and revoking', () => {
  test('a disabled key ends exactly its tokens; enabled again it gets new ones only', async () => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    const path = `${own.accountPath}/keys/${own.keyId}`
    const token = await own.getToken()
    expect((await must(server.api('PATCH', path, { status: 'disabled' }))).status).toBe('disabled')
    expect((await own.introspect(token)).body).toEqual({ active: false })
    await must(server.api('PATCH', path, { status: 'active' }))
    expect((await own.introspect(token)).body).toEqual({ active: false })
    expect((await own.introspect(await own.getToken())).body.active).toBe(true)
  })

  test('a revoked key stays revoked, is hidden from the list and kept for the trail', async () => {
    const account = await newAccount()
    const kept = await must(server.api('POST', `${account}/keys`, await publicKey()))
    const gone = await must(server.api('POST', `${account}/keys`, { ...(await publicKey()), name: 'gone' }))
    const path = `${account}/keys/${gone.key.id}`
    expect((await server.api('DELETE', path)).status).toBe(204)
    expect((await server.api('DELETE', path)).status).toBe(204)
    expect((await must(server.api('GET', path))).status).toBe('revoked')
    expectProblem(await server.api('PATCH', path, { status: 'active' }), 409, 'key_already_revoked')
    expectProblem(await server.api('PATCH', path, {}), 409, 'key_already_revoked')
    const ids = async (query: string) =>
      (await must(server.api('GET', `${account}/keys${query}`))).items.map((key: { id: string }) => key.id)
    expect(await ids('')).toEqual([kept.key.id])
    expect(await ids('?include_revoked=false')).toEqual([kept.key.id])
    expect(await ids('?include_revoked=true')).toEqual([gone.key.id, kept.key.id])
  })

  test('a revoked key makes room for another one', async () => {
    const account = await newAccount({ max_keys_per_account: 1 })
    const first = await must(server.api('POST', `${account}/keys`, await publicKey()))
    expectProblem(await server.api('POST', `${account}/keys`, await publicKey()), 409, 'key_limit_reached')
    await must(server.api('DELETE', `${account}/keys/${first.key.id}`))
    expect((await server.api('POST', `${account}/keys`, await publicKey())).status).toBe(201)
  })
})
