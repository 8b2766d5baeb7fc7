import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ENTRANCE, OWN, PLATFORM, SCREENS, TENANT } from '../../src/console/screens.ts'
import { createConsoleClient, tokenIn } from '../support/console-client.ts'
import { createKeyPair } from '../support/jwt.ts'
import { builtInRoleId } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, signIn, type TestAdministrator } from '../support/sign-in.ts'

/** In every name that somebody can choose; quotes of both kinds, a tag, and what ends an element. */
const HOSTILE = `"'><img src=x onerror=alert(1)></textarea></title><script>alert(2)</script>&lt;{{7*7}}`

let server: TestServer
let fixture: Fixture
let slug: string
let owner: TestAdministrator
/** What stands for the names in a path. A screen with other ids adds them. */
let ids: Record<string, string>
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  const path = `/organizations/${fixture.organizationId}`
  slug = (await must(server.api('PATCH', path, { name: HOSTILE }))).slug
  await must(
    server.api('PATCH', fixture.accountPath, { name: HOSTILE, description: HOSTILE, owner_contact: HOSTILE }),
  )
  const named = { name: HOSTILE, description: HOSTILE }
  const role = await must(server.api('POST', `${path}/roles`, named))
  const group = await must(server.api('POST', `${path}/groups`, named))
  const group_access = [{ group_id: group.id, access: 'manager' }]
  await must(server.api('PATCH', fixture.accountPath, { role_ids: [role.id], group_access }))
  await fixture.getToken()
  const { items: tokens } = await must(server.api('GET', `${fixture.accountPath}/tokens`))
  const administrator = await createAdministrator(server, fixture.organizationId, {
    name: HOSTILE,
    role_ids: [role.id],
    group_access,
  })
  await signIn(server, administrator, { userAgent: HOSTILE })
  const api = `/resource-servers/${fixture.resourceServer.id}`
  const { client_secret: _, secret } = await must(server.api('POST', `${api}/secrets`, { name: HOSTILE }))
  const { publicJwk } = await createKeyPair('ES256')
  const serverKey = await must(server.api('POST', `${api}/keys`, { name: HOSTILE, public_key: publicJwk }))
  const permissions = [{ name: 'read', description: HOSTILE }]
  await must(server.api('PATCH', api, { name: HOSTILE, permissions }))
  const { items: signingKeys } = await must(server.api('GET', '/signing-keys'))
  await must(
    server.api('PUT', `${path}/identity-provider`, {
      issuer: 'https://login.example.test',
      client_id: HOSTILE,
      email_domains: ['example.test'],
    }),
  )
  ids = {
    ':tok': tokens[0].id,
    ':rss': secret.id,
    ':rsk': serverKey.id,
    ':rs': fixture.resourceServer.id,
    ':sig': signingKeys[0].id,
    ':acc': fixture.accountId,
    ':key': fixture.keyId,
    ':ses': `ses_${'0'.repeat(36)}`,
    ':role': role.id,
    ':grp': group.id,
    ':adm': administrator.id,
  }
  const { organization } = await must(server.api('GET', '/me'))
  owner = await createAdministrator(server, organization.id, {
    name: HOSTILE,
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
})
afterAll(async () => {
  await server?.close()
})

/** Every page there is, with what has a hostile name in it. */
function allPages(): string[] {
  const pages = [
    ...ENTRANCE.map(([method, path]) => [method, path]),
    ...OWN.map(([method, path]) => [method, path]),
    ...PLATFORM.map(([method, path]) => [method, path]),
    ...[...TENANT, ...SCREENS].map(([method, path]) => [method, `/organizations/${slug}${path}`]),
  ]
  return pages.filter(([method]) => method === 'GET').map(([, path]) => pathOf(String(path)))
}

/** What browsers save and never show. */
function isFile(headers: Headers): boolean {
  const isApart = /^attachment;/.test(headers.get('content-disposition') ?? '')
  return isApart && headers.get('content-type') === 'application/x-ndjson'
}

/** Every form there is. */
function allForms(): string[] {
  const forms = [
    ...OWN.map(([method, path]) => [method, path]),
    ...PLATFORM.map(([method, path]) => [method, path]),
    ...[...TENANT, ...SCREENS].map(([method, path]) => [method, `/organizations/${slug}${path}`]),
  ]
  return forms.filter(([method]) => method === 'POST').map(([, path]) => pathOf(String(path)))
}

function pathOf(path: string): string {
  return Object.entries(ids).reduce((text, [name, id]) => text.replace(name, id), path)
}

describe('what people call things', () => {
  test('is text on every page, in every place', async () => {
    const client = await createConsoleClient(server, owner, { userAgent: HOSTILE })
    const query = new URLSearchParams({
      search: HOSTILE,
      show: HOSTILE,
      next: HOSTILE,
      organization: HOSTILE,
      ...{ from: HOSTILE, action: HOSTILE, actor: HOSTILE, target: HOSTILE, request: HOSTILE },
      instead_of: HOSTILE,
      name: 'read',
    })
    for (const path of allPages()) {
      for (const page of [path, `${path}?${query}`]) {
        const { text, headers } = await client.get(page)
        if (isFile(headers)) continue
        expect({ page, text: text.includes('<img') }).toEqual({ page, text: false })
        expect(text).not.toContain('<script>')
        // In tags, and not in quotes: there alone an attribute would stand.
        const bare = (text.match(/<[^>]*>/g) ?? []).join('').replaceAll(/"[^"]*"/g, '""')
        expect(bare).not.toMatch(/\s(?:on\w+|style)=/i)
      }
    }
    const { text } = await client.get(`/organizations/${slug}/service-accounts/${fixture.accountId}`)
    expect(text).toContain('&quot;&#39;&gt;&lt;img src=x onerror=alert(1)&gt;')
  })

  test('is text in a form that is shown again, and in what it has done', async () => {
    const client = await createConsoleClient(server, owner)
    const path = `/organizations/${slug}/service-accounts/new`
    const again = await client.post(path, { name: '', description: HOSTILE, owner_contact: HOSTILE })
    expect(again.status).toBe(422)
    const made = await client.post(path, { name: HOSTILE, first_key: 'none' })
    const shown = await client.get(made.headers.get('location')!.replace('/console', ''))
    expect(shown.text).toContain('is created.')
    for (const { text } of [again, shown]) {
      expect(text).toContain('&lt;img')
      expect(text).not.toContain('<img')
    }
  })
})

describe('a form changes nothing', () => {
  const refusals: [
    string,
    (token: string, other: string) => [Record<string, string>, Record<string, string>],
  ][] = [
    ['without its token', () => [{ form_token: '' }, {}]],
    ['with the token of another session', (_token, other) => [{ form_token: other }, {}]],
    ['with its token twice', (token) => [{ form_token: `${token}&form_token=${token}` }, {}]],
    ['from a page of another site', () => [{}, { origin: 'https://evil.example' }]],
    ['from a page that hides where it is', () => [{}, { origin: 'null' }]],
  ]

  test.each(refusals)('%s', async (_what, change) => {
    const client = await createConsoleClient(server, owner)
    const other = await createConsoleClient(server, owner)
    const before = await takeStock()
    const [fields, headers] = change(await client.formToken(), await other.formToken())
    for (const path of allForms()) {
      const answer = await client.post(path, fields, headers)
      expect({ path, status: answer.status }).toEqual({ path, status: 403 })
    }
    expect(await takeStock()).toEqual(before)
    expect((await client.get('/security')).status).toBe(200)
  })

  test('that is no form', async () => {
    const client = await createConsoleClient(server, owner)
    const answer = await client.post('/sign-out', {}, { 'content-type': 'application/json' })
    expect(answer.status).toBe(400)
    expect((await client.get('/security')).status).toBe(200)
  })

  test.each(ENTRANCE.filter(([method]) => method === 'POST').map(([, path]) => path))(
    'before somebody is signed in: %s',
    async (path) => {
      const stranger = await createConsoleClient(server)
      const token = await stranger.formToken()
      const elsewhere = await createConsoleClient(server)
      expect((await elsewhere.post(path, { form_token: token })).status).toBe(403)
      expect((await stranger.post(path, {}, { origin: 'https://evil.example' })).status).toBe(403)
      stranger.cookies.clear()
      expect((await stranger.post(path, { form_token: token })).status).toBe(403)
    },
  )

  async function takeStock() {
    const { items } = await must(
      server.api('GET', `/organizations/${fixture.organizationId}/service-accounts?limit=200`),
    )
    const { items: servers } = await must(server.api('GET', '/resource-servers?limit=200'))
    const organization = await must(server.api('GET', `/organizations/${fixture.organizationId}`))
    return { items, servers, organization }
  }
})

describe('every page', () => {
  test('has the headers that keep it whole, also one that says why there is none', async () => {
    const client = await createConsoleClient(server, owner)
    for (const path of [...allPages(), '/no-such-page', '/organizations/%ff']) {
      const { headers } = await client.get(path)
      const shown = Object.fromEntries(headers)
      expect({ path, ...shown }).toMatchObject({
        path,
        'content-security-policy':
          "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        'cache-control': 'no-store',
        'referrer-policy': 'same-origin',
        'cross-origin-opener-policy': 'same-origin',
        'x-content-type-options': 'nosniff',
      })
    }
  })

  test('asks for https from then on, where the issuer is https, and its cookies are for this host alone', async () => {
    const secure = await startTestServer({ issuer: 'https://id.example.com/auth' })
    try {
      const response = await fetch(`${secure.url}/auth/console/sign-in`)
      expect(response.headers.get('strict-transport-security')).toBe('max-age=31536000; includeSubDomains')
      const text = await response.text()
      expect(text).toContain('action="/auth/console/sign-in"')
      expect(text).toContain('href="/auth/console/assets/')
      expect(response.headers.get('set-cookie')).toMatch(
        /^__Host-countersign-form=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
      )
    } finally {
      await secure.close()
    }
  })

  test('bears one token for its forms in each session, and another one in another session', async () => {
    const [one, other] = [await createConsoleClient(server, owner), await createConsoleClient(server, owner)]
    const token = tokenIn((await one.get('/security')).text)
    expect(tokenIn((await one.get('/security')).text)).toBe(token)
    expect(tokenIn((await other.get('/security')).text)).not.toBe(token)
    expect(token).toMatch(/^[\w-]{43}$/)
  })
})

describe('what is asked strangely', () => {
  test.each([
    ['a byte that is no text', '/organizations/%00/service-accounts', 404],
    ['a sequence that is not UTF-8', '/organizations/%ff/service-accounts', 404],
    ['a number in place of an id', '/security/sessions/1/end', 405],
    ['a way up', '/assets/x/..%2f..%2frouter.ts', 404],
    ['a file that is no asset', '/assets/x/tsconfig.json', 404],
    ['capital letters', '/SECURITY', 404],
    ['a slash more', '/security/', 404],
  ])('%s is answered in words', async (_what, path, status) => {
    const client = await createConsoleClient(server, owner)
    const answer = await client.get(path)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/)
  })

  test('a search of control characters finds nothing and breaks nothing', async () => {
    const client = await createConsoleClient(server, owner)
    const path = `/organizations/${slug}/service-accounts`
    for (const query of [
      'search=%00',
      'search=%00%07abc',
      'search=%ed%a0%80',
      `search=${'x'.repeat(5000)}`,
      'cursor=%00',
    ])
      expect((await client.get(`${path}?${query}`)).status).toBe(200)
    expect((await client.get(`${path}?cursor=nonsense`)).status).toBe(400)
  })
})

test('a sentence that another server has not sealed is not shown', async () => {
  const client = await createConsoleClient(server, owner)
  client.cookies.set('countersign-notice', Buffer.from('"You have won"').toString('base64url'))
  const { text } = await client.get('/security')
  expect(text).not.toContain('You have won')
  expect(text).not.toContain('class="notice"')
})

test('assets are kept for ever under the path of their version, and not under another one', async () => {
  const page = await (await fetch(`${server.url}/console/sign-in`)).text()
  const [, path] = /href="([^"]+console\.css)"/.exec(page) ?? []
  const style = await fetch(server.url + path)
  expect(style.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  expect(style.headers.get('content-type')).toBe('text/css; charset=utf-8')
  const other = await fetch(server.url + path!.replace(/assets\/[^/]+/, 'assets/older'))
  expect(other.status).toBe(200)
  expect(other.headers.get('cache-control')).toBe('no-store')
})
