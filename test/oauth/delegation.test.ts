import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { expectRefusalFor } from '../conformance/support.ts'
import { decode } from '../support/jwt.ts'
import { createClient, expectProblem } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator } from '../support/sign-in.ts'

let server: TestServer
let fixture: Fixture
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  await delegate(['user-*', 'exact'], ['read', 'admin'])
})
afterAll(() => server.close())

async function delegate(subjects: string[], permissions: string[], to = fixture): Promise<void> {
  const delegation = {
    subjects,
    permissions: permissions.map((permission) => ({
      resource_server_id: to.resourceServer.id,
      permission,
    })),
  }
  await must(server.api('PATCH', to.accountPath, { delegation }))
}

const ask = async (sub: unknown, form?: Record<string, string>, as = fixture) =>
  as.requestToken({ assertion: await as.assertion({ sub }), ...(form === undefined ? {} : { form }) })

describe('a token for an end user', () => {
  test('bears the user as sub, the account as act, and what is lent as far as the account has it', async () => {
    const answer = await ask('user-4711')
    expect(answer.status).toBe(200)
    // The account has read and write; read and admin are lent.
    expect(answer.body.scope).toBe('read')
    const { claims } = decode(answer.body.access_token)
    expect(claims).toMatchObject({
      sub: 'user-4711',
      act: { sub: fixture.accountId },
      client_id: fixture.accountId,
      scope: 'read',
      roles: [],
    })
    expect(claims.act).toEqual({ sub: fixture.accountId })
    const { body } = await fixture.introspect(answer.body.access_token)
    expect(body).toMatchObject({
      active: true,
      sub: 'user-4711',
      act: { sub: fixture.accountId },
      scope: 'read',
    })
  })

  test('is refused what is not lent, and what the account lacks', async () => {
    for (const scope of ['write', 'admin', 'read write'])
      expect((await ask('user-1', { scope })).body.error).toBe('invalid_scope')
    expect((await ask('user-1', { scope: 'read' })).body.scope).toBe('read')
  })

  test('[7662-5] tells nothing of the account’s own roles and groups', async () => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    const organization = `/organizations/${own.organizationId}`
    const role = await must(server.api('POST', `${organization}/roles`, { name: 'Secret role' }))
    const group = await must(server.api('POST', `${organization}/groups`, { name: 'Secret group' }))
    await must(
      server.api('PATCH', own.accountPath, {
        role_ids: [role.id],
        group_access: [{ group_id: group.id, access: 'viewer' }],
        groups_administrator: 'manager',
      }),
    )
    await delegate(['user-1'], ['read'], own)
    const { access_token: token } = (await ask('user-1', undefined, own)).body
    expect(JSON.stringify(decode(token).claims)).not.toContain('Secret')
    const { text, body } = await own.introspect(token)
    expect(text).not.toContain('Secret')
    expect(body).toMatchObject({ roles: [], groups: [], groups_administrator: null })
    expect((await ask('user-1', { scope: 'read groups' }, own)).body.error).toBe('invalid_scope')
  })

  test('stands in the list of the account’s tokens by its subject, and ends with them', async () => {
    const { access_token: token } = (await ask('user-in-list')).body
    const { items } = await must(server.api('GET', `${fixture.accountPath}/tokens`))
    expect(items[0]).toMatchObject({ subject: 'user-in-list', scope: 'read' })
    await must(server.api('DELETE', `${fixture.accountPath}/tokens`))
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
  })

  test('ends at once with what it was lent by: subject, permission, the whole delegation', async () => {
    const own = await server.createFixture({ algorithm: 'ES256', tokenFormat: 'opaque' })
    for (const narrow of [
      () => delegate(['guest-*'], ['read'], own),
      () => delegate(['user-1', 'user-2*'], ['write'], own),
      () => must(server.api('PATCH', own.accountPath, { delegation: null })),
    ]) {
      await delegate(['user-*', 'user-1'], ['read'], own)
      const { access_token: token } = (await ask('user-1', undefined, own)).body
      expect((await own.introspect(token)).body).toMatchObject({ active: true, sub: 'user-1', scope: 'read' })
      expect((await must(server.api('GET', `${own.accountPath}/tokens`))).items).toHaveLength(1)
      const ownToken = await own.getToken()
      await narrow()
      expect((await own.introspect(token)).body).toEqual({ active: false })
      expect((await own.introspect(ownToken)).body.active).toBe(true)
      expect((await must(server.api('GET', `${own.accountPath}/tokens`))).items).toHaveLength(1)
      await must(server.api('DELETE', `${own.accountPath}/tokens`))
    }
  })

  test('with several resource servers is for one on which something is lent', async () => {
    const other = await server.createFixture({ algorithm: 'ES256', organizationId: fixture.organizationId })
    const both = [fixture, other].map(({ resourceServer }) => ({
      resource_server_id: resourceServer.id,
      permission: 'read',
    }))
    const delegation = { subjects: ['user-*'], permissions: [both[0]] }
    await must(server.api('PATCH', other.accountPath, { permissions: both, delegation }))
    expect((await ask('user-1', undefined, other)).status).toBe(200)
    const named = await ask('user-1', { resource: other.resourceServer.identifier }, other)
    expect(named.body.error).toBe('invalid_target')
  })
})

describe('for whom an account may act', () => {
  test.each(['user-4711', 'user-', 'user-a@b.example', 'exact'])('%s is allowed', async (sub) => {
    const answer = await ask(sub)
    expect(decode(answer.body.access_token).claims.sub).toBe(sub)
  })

  test.each([
    'User-4711',
    'users',
    'exactly',
    'exac',
    'user-a b',
    'user-*',
    'user-ü',
    '*',
    '',
    `user-${'x'.repeat(251)}`,
  ])('%j is not', async (sub) => {
    await expectRefusalFor(server, await ask(sub), { error: 'invalid_grant', reason: 'subject_not_allowed' })
  })

  test('without a delegation nobody is', async () => {
    const plain = await server.createFixture({ algorithm: 'ES256' })
    const answer = await ask('user-1', undefined, plain)
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'subject_not_allowed' })
  })

  test('[9068-5-2] an id or an email of another account never is, in whatever spelling', async () => {
    const [everybody, other] = [
      await server.createFixture({ algorithm: 'ES256' }),
      await server.createFixture({ algorithm: 'ES256' }),
    ]
    const named = [other.accountId, other.accountEmail, 'admin@example.com']
    for (const subjects of [['*'], named]) {
      await delegate(subjects, ['read'], everybody)
      expect((await ask('admin@example.com', undefined, everybody)).status).toBe(200)
      for (const sub of [
        other.accountId,
        other.accountId.toUpperCase(),
        'acc_nobody',
        other.accountEmail,
        other.accountEmail.toUpperCase(),
      ]) {
        const answer = await ask(sub, undefined, everybody)
        await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'subject_not_allowed' })
      }
    }
    const person = await createAdministrator(server, everybody.organizationId)
    for (const sub of [person.email, person.email.toUpperCase()]) {
      const answer = await ask(sub, undefined, everybody)
      await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'subject_not_allowed' })
    }
    for (const sub of [everybody.accountId, everybody.accountEmail]) {
      const { claims } = decode((await ask(sub, undefined, everybody)).body.access_token)
      expect(claims.sub).toBe(everybody.accountId)
      expect(claims.act).toBeUndefined()
    }
  })
})

test('whom other organizations have is neither told by a subject nor kept from being one', async () => {
  const own = await server.createFixture({ algorithm: 'ES256' })
  const other = await server.createFixture({ algorithm: 'ES256' })
  await delegate(['*'], ['read'], own)
  const theirs = await createAdministrator(server, other.organizationId)
  expect((await ask(theirs.email, undefined, own)).status).toBe(200)
  const there = await ask(other.accountEmail, undefined, own)
  const nowhere = await ask(`nobody@nowhere.${new URL(server.issuer).hostname}`, undefined, own)
  expect({ status: there.status, body: there.body }).toEqual({ status: 400, body: nowhere.body })
})

test('a token for an end user is no key to the management API', async () => {
  const own = await server.createFixture({ algorithm: 'ES256' })
  // Written past the rule that keeps management permissions out of delegations.
  const [management] = (await must(server.api('GET', '/resource-servers?limit=200'))).items.filter(
    (item: { built_in: boolean }) => item.built_in,
  )
  const permissions = [{ resource_server_id: management.id, permission: 'audit:read' }]
  await must(server.api('PATCH', own.accountPath, { permissions }))
  const lent = {
    subjects: ['user-*'],
    permissions: [{ resourceServerId: management.id, permission: 'audit:read' }],
  }
  await server.connection.pool.query('update accounts set delegation = $1 where id = $2', [
    JSON.stringify(lent),
    own.accountId,
  ])
  const { access_token: token } = (await ask('user-1', undefined, own)).body
  expect(decode(token).claims.aud).toBe(`${server.issuer}/api/v1`)
  const client = await createClient(server, {
    organizationId: own.organizationId,
    permissions: ['audit:read'],
  })
  const path = `${server.url}/api/v1/organizations/${own.organizationId}/audit-events`
  const asUser = await fetch(path, { headers: { authorization: `Bearer ${token}` } })
  expect(asUser.status).toBe(401)
  expect((await client.call('GET', `/organizations/${own.organizationId}/audit-events`)).status).toBe(200)
  expectProblem(await client.call('GET', own.accountPath), 403, 'permission_missing')
})
