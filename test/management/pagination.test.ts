import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createKeyPair } from '../support/jwt.ts'
import { createOrganization, expectProblem } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

const COUNT = 7
let server: TestServer
let fixture: Fixture
let lists: Record<string, string>
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  for (let number = 0; number < COUNT; number++) {
    await createOrganization(server)
    const person = { name: `p${number}`, email: `p${number}@people.example` }
    await must(server.api('POST', `/organizations/${fixture.organizationId}/administrators`, person))
    await must(
      server.api('POST', `/organizations/${fixture.organizationId}/service-accounts`, { name: `a${number}` }),
    )
    const public_key = (await createKeyPair('ES256')).publicJwk
    await must(server.api('POST', `${fixture.accountPath}/keys`, { type: 'public_key', public_key }))
    await must(
      server.api('POST', '/resource-servers', { identifier: `urn:rs:${number}`, name: `rs${number}` }),
    )
    await must(server.api('POST', `/resource-servers/${fixture.resourceServer.id}/secrets`, {}))
    await fixture.getToken()
  }
  lists = {
    organizations: '/organizations',
    administrators: `/organizations/${fixture.organizationId}/administrators`,
    accounts: `/organizations/${fixture.organizationId}/service-accounts`,
    keys: `${fixture.accountPath}/keys`,
    tokens: `${fixture.accountPath}/tokens`,
    'resource servers': '/resource-servers',
    secrets: `/resource-servers/${fixture.resourceServer.id}/secrets`,
    'audit events': `/organizations/${fixture.organizationId}/audit-events`,
    permissions: `/organizations/${fixture.organizationId}/permissions`,
  }
})
afterAll(() => server.close())

const LISTS = [
  'organizations',
  'administrators',
  'accounts',
  'keys',
  'tokens',
  'resource servers',
  'secrets',
  'audit events',
  'permissions',
]

describe.each(LISTS)('%s', (name) => {
  test('page by page are the whole list, each item once and in one order', async () => {
    const path = lists[name] as string
    const whole = (await must(server.api('GET', `${path}?limit=200`))).items
    expect(whole.length).toBeGreaterThanOrEqual(COUNT)
    const gathered: unknown[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: { items: unknown[]; next_cursor: string | null } = await must(
        server.api('GET', `${path}?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`),
      )
      expect(page.items.length).toBeGreaterThan(0)
      expect(page.items.length).toBeLessThanOrEqual(3)
      gathered.push(...page.items)
      cursor = page.next_cursor
    }
    expect(gathered).toEqual(whole)
    if (name !== 'permissions') {
      const ids = whole.map((item: { id: string }) => item.id)
      expect(ids).toEqual([...ids].sort().reverse())
    }
  })

  test('an exact fit has no next page', async () => {
    const path = lists[name] as string
    const whole = (await must(server.api('GET', `${path}?limit=200`))).items.length
    expect((await must(server.api('GET', `${path}?limit=${whole}`))).next_cursor).toBeNull()
    expect((await must(server.api('GET', `${path}?limit=${whole - 1}`))).next_cursor).not.toBeNull()
  })

  test('a limit or cursor that makes no sense is refused', async () => {
    for (const query of [
      'limit=0',
      'limit=201',
      'limit=1.5',
      'limit=x',
      'limit=',
      'limit=1&limit=2',
      'cursor=',
      'cursor=!',
      'cursor=%00',
      'cursor=AAAA',
      'cursor=A',
      `cursor=${'A'.repeat(600)}`,
      'offset=3',
    ]) {
      expectProblem(await server.api('GET', `${lists[name]}?${query}`), 400, 'request_malformed')
    }
  })
})

test('what is created while somebody pages neither repeats nor hides an older item', async () => {
  const first = await must(server.api('GET', '/organizations?limit=4'))
  await createOrganization(server)
  const second = await must(server.api('GET', `/organizations?limit=200&cursor=${first.next_cursor}`))
  const ids = [...first.items, ...second.items].map((item: { id: string }) => item.id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.length).toBe((await must(server.api('GET', '/organizations?limit=200'))).items.length - 1)
})
