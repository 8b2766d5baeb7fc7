import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { createOrganization } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import {
  codeFor,
  createAdministrator,
  createBrowser,
  enrol,
  SESSION_COOKIE,
  signIn,
} from '../support/sign-in.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('no secret of an administrator is in any column, log line or trail (promise 4)', async () => {
  const { id } = await createOrganization(server)
  const person = await createAdministrator(server, id)
  const clientSecret = 'secret-of-a-client-at-a-provider'
  const provider = {
    issuer: 'https://login.example',
    client_id: 'c',
    client_secret: clientSecret,
    email_domains: ['a.example'],
  }
  await must(server.api('PUT', `/organizations/${id}/identity-provider`, provider))
  const browser = await signIn(server, person)
  const { secret, recoveryCodes } = await enrol(server, browser, person.password)
  server.clock.advance(30)
  const pending = createBrowser(server)
  await must(pending.call('POST', '/password', { email: person.email, password: person.password }))
  const pendingCookie = pending.cookies.get(SESSION_COOKIE)!
  await must(pending.call('POST', '/second-factor', { code: codeFor(server, secret) }))
  // What goes wrong leaves facts in the log: they must hold no secret either.
  const wrong = 'a wrong pass phrase'
  await createBrowser(server).call('POST', '/password', { email: person.email, password: wrong })
  await createBrowser(server).call('POST', '/password', { email: wrong, password: person.password })
  await createBrowser(server).call('POST', '/password', { email: person.email, password: [person.password] })
  await createBrowser(server).call('POST', '/invitation/accept', {
    invitation: person.invitation,
    password: wrong,
  })

  const secrets = [
    person.password,
    wrong,
    person.invitation,
    secret,
    ...recoveryCodes,
    browser.cookies.get(SESSION_COOKIE)!,
    pendingCookie,
    pending.cookies.get(SESSION_COOKIE)!,
    clientSecret,
  ]
  const places = [JSON.stringify(server.logs()), ...(await readDatabase())]
  for (const value of secrets) {
    const forms = [value, Buffer.from(value).toString('hex'), value.replaceAll('-', '')]
    const leaks = places.filter((place) => forms.some((form) => place.includes(form)))
    expect(leaks.map((place) => place.slice(0, 200))).toEqual([])
  }
})

async function readDatabase(): Promise<string[]> {
  const { db } = server.connection
  const { rows: tables } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public'`.execute(db)
  expect(tables.length).toBeGreaterThan(20)
  const texts: string[] = []
  for (const { name } of tables) {
    const { rows } = await sql<{ text: string }>`select t::text as text from ${sql.table(name)} t`.execute(db)
    texts.push(...rows.map((row) => row.text))
  }
  return texts
}
