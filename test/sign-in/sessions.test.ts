import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  builtInRoleId,
  createClient,
  createOrganization,
  expectProblem,
  managementServerId,
} from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import {
  type Browser,
  createAdministrator,
  createBrowser,
  SESSION_COOKIE,
  signIn,
  type TestAdministrator,
} from '../support/sign-in.ts'

let server: TestServer
let secondNode: TestServer
let organizationId: string
beforeAll(async () => {
  server = await startTestServer()
  const { connection, clock, issuer } = server
  secondNode = await startTestServer({ connection, clock, issuer })
  organizationId = (await createOrganization(server)).id
})
afterAll(async () => {
  await secondNode.close()
  await server.close()
})

/** The same browser, seen by another node. */
function atSecondNode(browser: Browser): Browser {
  const other = createBrowser(server, { url: secondNode.url })
  for (const [name, value] of browser.cookies) other.cookies.set(name, value)
  return other
}

async function expectOver(browser: Browser): Promise<void> {
  for (const each of [atSecondNode(browser), browser]) {
    expectProblem(await each.call('GET', '/session'), 401, 'session_missing')
  }
}

describe('a session', () => {
  test('lasts twelve hours if it is used, and an hour if it is not', async () => {
    const person = await createAdministrator(server, organizationId)
    const [used, idle] = [await signIn(server, person), await signIn(server, person)]
    for (let minute = 50; minute < 12 * 60; minute += 50) {
      server.clock.advance(50 * 60)
      expect((await used.call('GET', '/session')).status).toBe(200)
      if (minute > 60) expectProblem(await idle.call('GET', '/session'), 401, 'session_missing')
    }
    server.clock.advance(50 * 60)
    expectProblem(await used.call('GET', '/session'), 401, 'session_missing')
  })

  test.each<[string, (person: TestAdministrator) => Promise<unknown>]>([
    ['the administrator is disabled', ({ path }) => server.api('PATCH', path, { status: 'disabled' })],
    ['the administrator is deleted', ({ path }) => server.api('DELETE', path)],
    ['the password is reset', ({ path }) => server.api('POST', `${path}/invitation`)],
    ['all sessions are ended', ({ path }) => server.api('DELETE', `${path}/sessions`)],
    [
      'it is ended by its id',
      async ({ path }) => {
        const { items } = await must(server.api('GET', `${path}/sessions`))
        return server.api('DELETE', `${path}/sessions/${items[0].id}`)
      },
    ],
  ])('is over on every node at once when %s', async (_what, end) => {
    const person = await createAdministrator(server, organizationId)
    const browser = await signIn(server, person)
    expect((await atSecondNode(browser).call('GET', '/session')).status).toBe(200)
    await end(person)
    await expectOver(browser)
  })

  test('does not come back when administrator or organization are enabled again', async () => {
    const { id } = await createOrganization(server)
    const person = await createAdministrator(server, id)
    const first = await signIn(server, person)
    await must(server.api('PATCH', person.path, { status: 'disabled' }))
    expect((await must(server.api('PATCH', person.path, { status: 'active' }))).status).toBe('active')
    await expectOver(first)
    const second = await signIn(server, person)
    await must(server.api('PATCH', `/organizations/${id}`, { status: 'disabled' }))
    await expectOver(second)
    await must(server.api('PATCH', `/organizations/${id}`, { status: 'active' }))
    await expectOver(second)
    expect((await (await signIn(server, person)).call('GET', '/session')).status).toBe(200)
  })

  test('is listed with where it began, and never with its secret', async () => {
    const person = await createAdministrator(server, organizationId)
    const browser = await signIn(server, person, { userAgent: 'one browser' })
    await signIn(server, person, { userAgent: 'another browser' })
    const answer = await server.api('GET', `${person.path}/sessions`)
    expect(answer.body.items.map((item: { user_agent: string }) => item.user_agent)).toEqual([
      'another browser',
      'one browser',
    ])
    expect(answer.body.items[0]).toMatchObject({ account_id: person.id, method: 'password', ip: '127.0.0.1' })
    expect(answer.text).not.toContain(browser.cookies.get(SESSION_COOKIE))
    const [one, other] = answer.body.items
    expect((await server.api('DELETE', `${person.path}/sessions/${one.id}`)).status).toBe(204)
    expect((await server.api('DELETE', `${person.path}/sessions/${one.id}`)).status).toBe(204)
    const left = (await must(server.api('GET', `${person.path}/sessions`))).items
    expect(left.map(({ id }: { id: string }) => id)).toEqual([other.id])
  })
})

describe('an administrator without any permission', () => {
  test('sees where they are signed in, and ends what should not be there', async () => {
    const person = await createAdministrator(server, organizationId)
    const [own, lost, forgotten] = [
      await signIn(server, person, { userAgent: 'own' }),
      await signIn(server, person, { userAgent: 'lost' }),
      await signIn(server, person, { userAgent: 'forgotten' }),
    ]
    const { items } = await must(own.call('GET', '/sessions'))
    const facts = items.map((item: Record<string, unknown>) => [
      item.user_agent,
      item.current,
      item.account_id,
    ])
    expect(facts).toEqual([
      ['forgotten', false, person.id],
      ['lost', false, person.id],
      ['own', true, person.id],
    ])
    const page = await must(own.call('GET', '/sessions?limit=1'))
    expect(page.items).toEqual([items[0]])
    const next = await must(own.call('GET', `/sessions?limit=1&cursor=${page.next_cursor}`))
    expect(next.items).toEqual([items[1]])

    for (const _time of ['first', 'second'])
      expect((await own.call('DELETE', `/sessions/${items[1].id}`)).status).toBe(204)
    await expectOver(lost)
    expect((await forgotten.call('GET', '/session')).status).toBe(200)
    expect((await own.call('DELETE', '/sessions')).status).toBe(204)
    await expectOver(forgotten)
    expect((await own.call('GET', '/session')).status).toBe(200)
    const path = `/organizations/${organizationId}/audit-events?action=administrator.sessions_ended&actor=${person.id}`
    const trail = (await must(server.api('GET', path))).items
    expect(trail.map((event: { changes: unknown }) => event.changes)).toEqual([
      { after: { count: 1 } },
      { after: { session_ids: [items[1].id] } },
    ])
  })

  test('ends nobody else’s, and cannot be led to by another site', async () => {
    const [one, other] = [
      await createAdministrator(server, organizationId),
      await createAdministrator(server, organizationId),
    ]
    const [browser, foreign] = [await signIn(server, one), await signIn(server, other)]
    const { items } = await must(foreign.call('GET', '/sessions'))
    for (const id of [items[0].id, `ses_${'0'.repeat(36)}`, '%00', 'x'])
      expect((await browser.call('DELETE', `/sessions/${id}`)).status).toBe(204)
    expect((await foreign.call('GET', '/session')).status).toBe(200)
    const headers = { origin: 'https://evil.example' }
    for (const path of ['/sessions', `/sessions/${items[0].id}`])
      expectProblem(await foreign.call('DELETE', path, undefined, headers), 403, 'origin_not_allowed')
    for (const [method, path] of [
      ['GET', '/sessions'],
      ['DELETE', '/sessions'],
      ['GET', '/effective-permissions'],
    ] as const)
      expectProblem(await createBrowser(server).call(method, path), 401, 'session_missing')
    expectProblem(await browser.call('GET', '/sessions?limit=0'), 400, 'request_malformed')
  })

  test('sees what they may do, and why', async () => {
    const viewer = await builtInRoleId(server, 'viewer')
    const management = await managementServerId(server)
    const audit = { resource_server_id: management, permission: 'audit:read' }
    const access = { role_ids: [viewer], permissions: [audit] }
    const person = await createAdministrator(server, organizationId, access)
    const browser = await signIn(server, person)
    const own = await must(browser.call('GET', '/effective-permissions'))
    expect(own.items).toContainEqual({
      ...audit,
      resource_server_identifier: `${server.issuer}/api/v1`,
      direct: true,
      roles: [],
    })
    expect(own.items).toContainEqual(
      expect.objectContaining({
        permission: 'roles:read',
        direct: false,
        roles: [{ id: viewer, name: 'viewer' }],
      }),
    )
    expect(await must(server.api('GET', `${person.path}/effective-permissions`))).toEqual(own)
    const page = await must(browser.call('GET', '/effective-permissions?limit=1'))
    expect(page.items).toEqual([own.items[0]])
    const next = await must(browser.call('GET', `/effective-permissions?limit=1&cursor=${page.next_cursor}`))
    expect(next.items).toEqual([own.items[1]])
    const nobody = await createAdministrator(server, organizationId)
    expect(await must((await signIn(server, nobody)).call('GET', '/effective-permissions'))).toEqual({
      items: [],
      next_cursor: null,
    })
  })
})

test('a service account sees all that it may do, whatever its token bears', async () => {
  const client = await createClient(server, {
    organizationId,
    permissions: ['roles:read', 'groups:read'],
    scope: 'roles:read',
  })
  expect((await must(client.call('GET', '/me'))).permissions).toEqual(['roles:read'])
  const { items } = await must(client.call('GET', '/me/effective-permissions'))
  expect(items.map((item: { permission: string }) => item.permission)).toEqual(['groups:read', 'roles:read'])
})

describe('a cookie', () => {
  test.each([
    ['nothing', ''],
    ['a prefix alone', 'cse_'],
    ['a secret that was never given out', `cse_${'A'.repeat(43)}`],
    ['a long text', 'x'.repeat(5000)],
    ['an escaped NUL', '%00'],
    ['a space', 'a b'],
  ])('that holds %s opens nothing', async (_what, value) => {
    const browser = createBrowser(server)
    const headers = { cookie: `${SESSION_COOKIE}=${value}` }
    expectProblem(await browser.call('GET', '/session', undefined, headers), 401, 'session_missing')
  })

  test('that is there twice is none: one of them is somebody else’s', async () => {
    const person = await createAdministrator(server, organizationId)
    const browser = await signIn(server, person)
    const value = browser.cookies.get(SESSION_COOKIE)
    const headers = { cookie: `${SESSION_COOKIE}=planted; ${SESSION_COOKIE}=${value}` }
    const answer = await createBrowser(server).call('GET', '/session', undefined, headers)
    expectProblem(answer, 401, 'session_missing')
  })

  test('does not open the management API, and an access token does not open a session', async () => {
    const person = await createAdministrator(server, organizationId)
    const browser = await signIn(server, person)
    const cookie = [...browser.cookies].map((pair) => pair.join('=')).join('; ')
    const answer = await fetch(`${server.url}/api/v1/me`, { headers: { cookie } })
    expect(answer.status).toBe(401)
    const headers = { authorization: `Bearer ${await server.operatorToken()}` }
    const session = await createBrowser(server).call('GET', '/session', undefined, headers)
    expectProblem(session, 401, 'session_missing')
  })
})

describe('a request from elsewhere changes nothing', () => {
  test.each<[string, Record<string, string>, number, string]>([
    ['without an origin', { origin: '' }, 403, 'origin_not_allowed'],
    ['from another origin', { origin: 'https://evil.example' }, 403, 'origin_not_allowed'],
    ['from no origin', { origin: 'null' }, 403, 'origin_not_allowed'],
    ['as a form', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'media_type_unsupported'],
    ['as plain text', { 'content-type': 'text/plain' }, 415, 'media_type_unsupported'],
  ])('%s', async (_what, headers, status, code) => {
    const person = await createAdministrator(server, organizationId)
    const browser = await signIn(server, person)
    const body = { password: person.password, new_password: 'taken over by somebody' }
    expectProblem(await browser.call('POST', '/password/change', body, headers), status, code)
    if (code === 'origin_not_allowed') {
      expectProblem(await browser.call('DELETE', '/session', undefined, headers), status, code)
    }
    expect((await browser.call('GET', '/session')).status).toBe(200)
    await signIn(server, person)
  })

  test('and no answer lets another origin read it', async () => {
    const browser = createBrowser(server)
    const headers = { origin: 'https://evil.example' }
    const answer = await browser.call('GET', '/session', undefined, headers)
    const names = [...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))
    expect(names).toEqual([])
  })
})

describe('every endpoint', () => {
  test('refuses other methods, unknown paths, unknown members and broken bodies', async () => {
    const browser = createBrowser(server)
    const wrongMethod = await browser.call('PUT', '/password')
    expectProblem(wrongMethod, 405, 'method_not_allowed')
    expect(wrongMethod.headers.get('allow')).toBe('POST')
    expectProblem(await browser.call('GET', '/nowhere'), 404, 'not_found')
    expectProblem(await browser.call('POST', '/password', '{"email":'), 400, 'request_malformed')
    const extra = { email: 'a@b.example', password: 'x', remember: true }
    const refused = await browser.call('POST', '/password', extra)
    expectProblem(refused, 422, 'input_invalid')
    expect(refused.body.errors).toEqual([{ pointer: '/remember', detail: 'is not a member of this body' }])
    expectProblem(await browser.call('POST', '/password', { email: 1, password: [] }), 422, 'input_invalid')
    expectProblem(
      await browser.call('POST', '/password', { email: 'a\u0000', password: 'x' }),
      422,
      'input_invalid',
    )
    const long = { email: 'a@b.example', password: 'x'.repeat(100_000) }
    expectProblem(await browser.call('POST', '/password', long), 413, 'body_too_large')
  })
})

test('on https the cookie is bound to this host and to TLS', async () => {
  const tls = await startTestServer({ issuer: 'https://id.example.test' })
  try {
    const { id } = await createOrganization(tls)
    const { email, password } = await createAdministrator(tls, id)
    const answer = await createBrowser(tls).call('POST', '/password', { email, password })
    expect(answer.headers.get('set-cookie')).toMatch(
      /^__Host-countersign-session=cse_[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    )
  } finally {
    await tls.close()
  }
})
