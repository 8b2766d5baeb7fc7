import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createKeyPair } from '../support/jwt.ts'
import { createClient, createOrganization } from '../support/management.ts'
import { type Answer, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const statuses = (answers: readonly Answer[]) => answers.map((answer) => answer.status).sort()
const times = <Result>(count: number, run: (number: number) => Promise<Result>) =>
  Promise.all(Array.from({ length: count }, (_, number) => run(number)))

test('of many who want one slug at once, one gets it and the others are told', async () => {
  const wanted = { slug: 'contended', name: 'x' }
  const answers = await times(6, () => server.api('POST', '/organizations', wanted))
  expect(statuses(answers)).toEqual([201, 409, 409, 409, 409, 409])
})

test('the same for an account’s slug, an identifier and key material', async () => {
  const { id } = await createOrganization(server)
  const accounts = `/organizations/${id}/service-accounts`
  expect(statuses(await times(4, () => server.api('POST', accounts, { name: 'x', slug: 'one' })))).toEqual([
    201, 409, 409, 409,
  ])
  expect(
    statuses(
      await times(4, () => server.api('POST', '/resource-servers', { identifier: 'urn:one', name: 'x' })),
    ),
  ).toEqual([201, 409, 409, 409])
  const public_key = (await createKeyPair('ES256')).publicJwk
  const initial_key = { type: 'public_key', public_key }
  expect(
    statuses(await times(4, (number) => server.api('POST', accounts, { name: `k${number}`, initial_key }))),
  ).toEqual([201, 409, 409, 409])
})

test('the number of keys is never exceeded by keys that are made at once', async () => {
  const { id } = await createOrganization(server, { max_keys_per_account: 3 })
  const accounts = `/organizations/${id}/service-accounts`
  const account = `${accounts}/${(await must(server.api('POST', accounts, { name: 'x' }))).id}`
  const pairs = await times(8, () => createKeyPair('ES256'))
  const answers = await Promise.all(
    pairs.map((pair) =>
      server.api('POST', `${account}/keys`, { type: 'public_key', public_key: pair.publicJwk }),
    ),
  )
  expect(statuses(answers)).toEqual([201, 201, 201, 409, 409, 409, 409, 409])
})

test('an organization is not deleted under an account that is being created', async () => {
  for (let round = 0; round < 5; round++) {
    const { id } = await createOrganization(server)
    const [created, deleted] = await Promise.all([
      server.api('POST', `/organizations/${id}/service-accounts`, { name: 'x' }),
      server.api('DELETE', `/organizations/${id}`),
    ])
    expect([
      [201, 409],
      [404, 204],
    ]).toContainEqual([created.status, deleted.status])
  }
})

test('changes to one account at once are all kept', async () => {
  const fixture = await server.createFixture()
  const changes = [
    { name: 'Renamed' },
    { description: 'described' },
    { owner_contact: 'owner' },
    { permissions: [] },
  ]
  const answers = await Promise.all(changes.map((change) => server.api('PATCH', fixture.accountPath, change)))
  expect(statuses(answers)).toEqual([200, 200, 200, 200])
  expect(await must(server.api('GET', fixture.accountPath))).toMatchObject({
    name: 'Renamed',
    description: 'described',
    owner_contact: 'owner',
    permissions: [],
  })
})

// Last, since it takes the operator's own permission away.
test('two owners that remove each other at once do not both succeed', async () => {
  const me = await must(server.api('GET', '/me'))
  const accounts = `/organizations/${me.organization.id}/service-accounts`
  const permissions = ['organizations:manage', 'service_accounts:manage', 'service_accounts:read']
  const options = { organizationId: me.organization.id, permissions }
  const [one, other] = [await createClient(server, options), await createClient(server, options)]
  const { permissions: held } = await must(server.api('GET', `${accounts}/${me.account.id}`))
  await must(
    server.api('PATCH', `${accounts}/${me.account.id}`, {
      permissions: held.filter(
        (entry: { permission: string }) => entry.permission !== 'organizations:manage',
      ),
    }),
  )
  const answers = await Promise.all([
    one.call('PATCH', other.accountPath, { status: 'disabled' }),
    other.call('PATCH', one.accountPath, { status: 'disabled' }),
  ])
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
  const { items } = await must(server.api('GET', `${accounts}?limit=200`))
  const active = items.filter(
    (item: { id: string; status: string }) =>
      [one.accountId, other.accountId].includes(item.id) && item.status === 'active',
  )
  expect(active).toHaveLength(1)
})
