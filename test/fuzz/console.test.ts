import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ENTRANCE, OWN, PLATFORM, SCREENS } from '../../src/console/screens.ts'
import { createConsoleClient } from '../support/console-client.ts'
import { createKeyPair } from '../support/jwt.ts'
import { builtInRoleId } from '../support/management.ts'
import { sendRaw } from '../support/raw-request.ts'
import { type Answer, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, SESSION_COOKIE } from '../support/sign-in.ts'
import { fuzz } from './inputs.ts'
import { formText, longText, wellFormedText } from './texts.ts'

/** Ends an attribute and an element, and leaves something that no page of ours has. */
const MARK = `"'></title></textarea></script><x-fuzz>`
const ORGANIZATION = '/organizations/:org'
const ROUTES = [
  ...ENTRANCE.map(([method, path]) => ({ method, path })),
  ...OWN.map(([method, path]) => ({ method, path })),
  ...PLATFORM.map(([method, path]) => ({ method, path })),
  ...SCREENS.map(([method, path]) => ({ method, path: ORGANIZATION + path })),
].map((route) => ({ ...route, name: `${route.method} ${route.path}` }))
/** Sessions end and accounts go: then most of what is fuzzed would be refused for that alone. */
const MAX_CHANGES = 10

type Bed = { names: Record<string, string>; cookie: string; formToken: string; fields: Map<string, string[]> }

let server: TestServer
let bed: Bed
let changes = 0
beforeAll(async () => {
  server = await startTestServer({ keepsLogs: false, trustedProxies: ['127.0.0.1'] })
  bed = await createBed()
})
afterAll(() => server.close())

const text = fc.oneof(
  { weight: 4, arbitrary: wellFormedText },
  {
    weight: 2,
    arbitrary: fc.constantFrom(MARK, `${MARK}\r\nx: y`, 'ada@acme.example', '-1', 'active', 'all'),
  },
  { weight: 1, arbitrary: longText },
)
const query = fc
  .array(fc.tuple(fc.constantFrom('search', 'show', 'next', 'organization', 'cursor', 'state', MARK), text), {
    maxLength: 3,
  })
  .map(
    (pairs) => new URLSearchParams(pairs.map(([name, value]) => [name, value.slice(0, 3000).toWellFormed()])),
  )
const inputs = fc.record({
  query: fc.oneof(fc.constant(new URLSearchParams()), query),
  /** What stands in the fields that the page has; the rest stays out. */
  values: fc.array(fc.option(text, { nil: undefined, freq: 6 }), { minLength: 8, maxLength: 8 }),
  more: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.tuple(formText, text), { maxLength: 3 }) },
  ),
  strangePath: fc.oneof(
    { weight: 9, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: wellFormedText },
  ),
  isOurs: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  ip: fc.ipV4(),
})
type Input = typeof inputs extends fc.Arbitrary<infer Made> ? Made : never

describe('whatever is sent to a page, it is answered with a page of ours, or a way to one', () => {
  test.each(ROUTES)('$name', async (route) => {
    if (changes > 0) bed = await createBed()
    await fuzz(
      'console',
      inputs,
      async (input) => {
        if (changes >= MAX_CHANGES) bed = await createBed()
        const answer = await send(route, input)
        expectPage(answer)
        const isSignedOut = answer.headers.get('location')?.startsWith('/console/sign-in') ?? false
        if (isSignedOut) changes = MAX_CHANGES
        else if (route.method === 'POST' && answer.status < 400) {
          expect(input.isOurs).toBe(true)
          changes++
        }
      },
      { parts: ROUTES.length },
    )
  })
})

async function send({ method, path }: { method: string; path: string }, input: Input): Promise<Answer> {
  const filled = path.replaceAll(/:(\w+)/g, (_, name) =>
    encodeURIComponent(input.strangePath ?? bed.names[name] ?? ''),
  )
  const search = input.query.toString()
  const names = bed.fields.get(path) ?? []
  const fields = names.flatMap((name, index) => {
    const value = input.values[index]
    return value === undefined ? [] : [[name, value] as [string, string]]
  })
  const form = new URLSearchParams([
    ...fields,
    ...input.more,
    ['form_token', input.isOurs ? bed.formToken : MARK],
  ])
  return sendRaw(server, {
    method,
    path: `/console${filled}${search === '' ? '' : `?${search}`}`,
    headers: {
      cookie: bed.cookie,
      origin: new URL(server.issuer).origin,
      'x-forwarded-for': input.ip,
      ...(method === 'POST' && { 'content-type': 'application/x-www-form-urlencoded' }),
    },
    body: method === 'POST' ? form.toString() : '',
  })
}

function expectPage({ status, headers, text: page }: Answer): void {
  expect({ status: status >= 500 ? status : 'below 500', page }).toEqual({ status: 'below 500', page })
  const isFile = headers.get('content-disposition')?.startsWith('attachment;') ?? false
  if (!isFile) expect(page).not.toContain('<x-fuzz')
  expect(page).not.toMatch(/node_modules|\.ts:|at async|kysely|SQLSTATE/i)
  expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  const location = headers.get('location')
  if (isFile) expect(headers.get('content-type')).toBe('application/x-ndjson')
  else if (location === null) expect(headers.get('content-type')).toMatch(/^text\/html(;|$)/)
  else expect(location).toMatch(/^\/console(\/|$)/)
}

test('after all of this an administrator sees the pages as before', async () => {
  bed = await createBed()
  for (const { path } of ROUTES.filter(
    ({ method, path: each }) => method === 'GET' && each.startsWith('/organizations'),
  )) {
    const filled = path.replaceAll(/:(\w+)/g, (_, name) => bed.names[name] ?? '')
    const answer = await sendRaw(server, {
      method: 'GET',
      path: `/console${filled}`,
      headers: { cookie: bed.cookie },
    })
    expect({ path, status: answer.status }).toEqual({ path, status: 200 })
  }
})

/** An owner of the platform who is signed in, an organization with one of everything, and what the forms ask for. */
async function createBed(): Promise<Bed> {
  changes = 0
  const { organization } = await must(server.api('GET', '/me'))
  const administrator = await createAdministrator(server, organization.id, {
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
  const client = await createConsoleClient(server, administrator)
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  const home = `/organizations/${fixture.organizationId}`
  const { slug } = await must(server.api('GET', home))
  const role = await must(server.api('POST', `${home}/roles`, { name: MARK.slice(0, 30), permissions: [] }))
  const group = await must(server.api('POST', `${home}/groups`, { name: MARK.slice(0, 30) }))
  await must(server.api('PATCH', fixture.accountPath, { name: MARK, description: MARK }))
  await fixture.getToken()
  const { items: tokens } = await must(server.api('GET', `${fixture.accountPath}/tokens`))
  const api = `/resource-servers/${fixture.resourceServer.id}`
  const { secret } = await must(server.api('POST', `${api}/secrets`, { name: MARK }))
  const { publicJwk } = await createKeyPair('ES256')
  const serverKey = await must(server.api('POST', `${api}/keys`, { name: MARK, public_key: publicJwk }))
  const { items: signingKeys } = await must(server.api('GET', '/signing-keys'))
  const other = await createAdministrator(server, fixture.organizationId, {
    role_ids: [await builtInRoleId(server, 'owner')],
  })
  await must(
    server.api('PUT', `${home}/identity-provider`, {
      issuer: 'https://login.example.test',
      client_id: 'countersign',
      email_domains: ['example.test'],
    }),
  )
  const names = {
    org: slug,
    acc: fixture.accountId,
    key: fixture.keyId,
    role: role.id,
    grp: group.id,
    rs: fixture.resourceServer.id,
    rss: secret.id,
    rsk: serverKey.id,
    sig: signingKeys[0].id,
    tok: tokens[0].id,
    adm: other.id,
    ses: `ses_${'0'.repeat(36)}`,
  }
  const cookie = [...client.cookies].map((pair) => pair.join('=')).join('; ')
  expect(cookie).toContain(SESSION_COOKIE)
  return { names, cookie, formToken: await client.formToken(), fields: await readFields(client, names) }
}

/** The names of the fields of each form, as its own page or the one above it shows them. */
async function readFields(
  client: Awaited<ReturnType<typeof createConsoleClient>>,
  names: Record<string, string>,
): Promise<Map<string, string[]>> {
  const fields = new Map<string, string[]>()
  for (const { path } of ROUTES.filter(({ method }) => method === 'POST')) {
    const page = ROUTES.find(
      (route) => route.method === 'GET' && path.startsWith(route.path) && route.path !== '/',
    )
    const filled = (page?.path ?? path).replaceAll(/:(\w+)/g, (_, name) => names[name] ?? '')
    const { text: html } = await client.get(filled)
    const found = [...html.matchAll(/<(?:input|select|textarea|button)[^>]* name="([^"]+)"/g)].map(
      ([, name]) => name ?? '',
    )
    fields.set(path, [...new Set(found.filter((name) => name !== 'form_token'))])
  }
  return fields
}
