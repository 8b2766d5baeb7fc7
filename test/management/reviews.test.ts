import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createKeyPair, signCompact } from '../support/jwt.ts'
import { createOrganization } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

const DAY_SECONDS = 86_400
let server: TestServer
let accounts: string
let used: Fixture
const ids: Record<string, string> = {}
beforeAll(async () => {
  server = await startTestServer()
  const organization = await createOrganization(server)
  accounts = `/organizations/${organization.id}/service-accounts`
  used = await server.createFixture({ organizationId: organization.id, algorithm: 'ES256' })
  ids.used = used.accountId
  ids.unused = await create('unused', { owner_contact: 'finance@example.test' })
  server.clock.advance(100 * DAY_SECONDS)
  await server.maintain()
  await used.getToken()
  ids.fresh = await create('fresh', {})
  ids.owned = await create('owned', { owner_contact: 'ops@example.test' }, 20)
  ids.later = await create('later', {}, 40)
  ids.deleted = await create('deleted', {}, 20)
  await must(server.api('DELETE', `${accounts}/${ids.deleted}`))
  ids.disabled = await create('disabled', {}, 20)
  const { items } = await must(server.api('GET', `${accounts}/${ids.disabled}/keys`))
  await must(server.api('PATCH', `${accounts}/${ids.disabled}/keys/${items[0].id}`, { status: 'disabled' }))
})
afterAll(() => server.close())

async function create(name: string, members: object, expiresInDays?: number): Promise<string> {
  const { publicJwk } = await createKeyPair('ES256')
  const expires_at =
    expiresInDays === undefined
      ? null
      : new Date(server.clock.now() + expiresInDays * DAY_SECONDS * 1000).toISOString()
  const { id } = await must(
    server.api('POST', accounts, {
      name,
      ...members,
      initial_key: { type: 'public_key', public_key: publicJwk, expires_at },
    }),
  )
  return id
}

describe('a review lists', () => {
  test.each([
    ['accounts that are not used', 'unused_for_days=90', ['unused']],
    ['none where all were used or are new', 'unused_for_days=101', []],
    ['accounts with keys that run out', 'keys_expiring_within_days=30', ['owned']],
    ['those that run out later as well', 'keys_expiring_within_days=41', ['later', 'owned']],
    ['accounts without an owner', 'without_owner=true', ['disabled', 'later', 'fresh', 'used']],
    [
      'all when that is not asked for',
      'without_owner=false',
      ['disabled', 'later', 'owned', 'fresh', 'unused', 'used'],
    ],
    ['what meets both conditions', 'keys_expiring_within_days=41&without_owner=true', ['later']],
    ['what has a text in its name, in any case', 'search=UNUSED', ['unused']],
    ['what has it in its owner', 'search=ops%40', ['owned']],
    ['nothing for what is no text of theirs, but a pattern', 'search=%25', []],
    ['nothing that was deleted', 'search=deleted', []],
    ['what is in a state', 'status=active&search=later', ['later']],
    ['nothing in another one', 'status=disabled', []],
    ['what meets all conditions', 'unused_for_days=90&keys_expiring_within_days=41&without_owner=true', []],
  ])('%s', async (_what, query, names) => {
    const { items } = await must(server.api('GET', `${accounts}?limit=200&${query}`))
    expect(items.map((item: { id: string }) => item.id)).toEqual(names.map((name) => ids[name]))
  })

  test('page by page', async () => {
    const gathered: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: { items: { id: string }[]; next_cursor: string | null } = await must(
        server.api(
          'GET',
          `${accounts}?without_owner=true&limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`,
        ),
      )
      gathered.push(...page.items.map((item) => item.id))
      cursor = page.next_cursor
    }
    expect(gathered).toEqual([ids.disabled, ids.later, ids.fresh, ids.used])
  })

  test.each([
    'unused_for_days=0',
    'unused_for_days=x',
    'keys_expiring_within_days=-1',
    'without_owner=maybe',
    'search=',
    'search=%00',
    'status=deleted',
  ])('nothing for %s', async (query) => {
    expect((await server.api('GET', `${accounts}?${query}`)).status).toBe(400)
  })
})

test('a key tells when, from where and by which program it was last used', async () => {
  const keyPath = `${used.accountPath}/keys/${used.keyId}`
  server.clock.advance(120)
  const now = Math.floor(server.clock.now() / 1000)
  const assertion = await signCompact(
    { alg: 'ES256', kid: used.keyId },
    used.claims({ iat: now, exp: now + 60 }),
    used.keyPair.privateKey,
  )
  await must(
    server.post(
      '/oauth/token',
      { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion },
      { 'user-agent': 'billing-sync/2.4' },
    ),
  )
  const key = await must(server.api('GET', keyPath))
  expect(key).toMatchObject({
    last_used_ip: expect.stringMatching(/127\.0\.0\.1$/),
    last_used_user_agent: 'billing-sync/2.4',
  })
  expect(Date.parse(key.last_used_at)).toBeGreaterThan(server.clock.now() - 60_000)
})
