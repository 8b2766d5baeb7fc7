import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'

/** What the page promises of each member, by name. */
const promised = readPromises()
/** On every line of the log. */
const FRAME = ['level', 'time', 'msg']

let server: TestServer
let fixture: Fixture
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  const issued = await fixture.requestToken()
  await fixture.requestToken({ form: { scope: 'nothing:granted' } })
  await fixture.introspect(issued.body.access_token)
  await fixture.introspect('cst_unknown')
  await server.api('GET', '/me')
  await server.api('GET', '/organizations/org_unknown')
  await fetch(`${server.url}/health/live`)
  await fetch(`${server.url}/nowhere?secret=1`)
})
afterAll(() => server.close())

const lines = () => server.logs().filter(({ msg }) => msg === 'request')

test('every line of the access log has the members that the page promises, and no others', () => {
  expect(lines().length).toBeGreaterThanOrEqual(8)
  const always = Object.keys(promised).filter((name) => promised[name]?.there === 'always')
  for (const line of lines()) {
    expect(Object.keys(line)).toEqual(expect.arrayContaining([...FRAME, ...always]))
    expect(Object.keys(line).filter((name) => !(name in promised) && !FRAME.includes(name))).toEqual([])
  }
})

test('each member has the type that the page promises', () => {
  const wrong = lines().flatMap((line) =>
    Object.entries(line)
      .filter(([name, value]) => promised[name]?.types.includes(typeOf(value)) === false)
      .map(([name, value]) => `${name}: ${typeOf(value)}`),
  )
  expect(wrong).toEqual([])
})

test('a refusal has its reason and its facts, and a token its lineage', () => {
  expect(lines().filter(({ reason }) => reason === 'scope_not_granted')).toMatchObject([
    { status: 400, detail: expect.any(Object), path: '/oauth/token' },
  ])
  expect(lines().find(({ path, status }) => path === '/oauth/token' && status === 200)).toMatchObject({
    accountId: expect.stringMatching(/^acc_/),
    keyId: expect.stringMatching(/^key_/),
    tokenId: expect.stringMatching(/^tok_/),
    scope: expect.any(String),
  })
})

test('whatever a front door notes for the log stands on the page', () => {
  const sources = [
    'oauth/forward-auth',
    'oauth/introspection',
    'oauth/revocation',
    'oauth/token',
    'management/authenticate',
    'sign-in/router',
    'console/router',
  ]
  const noted = sources.flatMap((name) => {
    const text = readFileSync(`src/${name}.ts`, 'utf8')
    return [...text.matchAll(/noteFacts\(res, \{([\s\S]*?)\}\)/g)].flatMap(([, members = '']) =>
      members
        .split(',')
        .map((member) => /(\w+)\s*:/.exec(member)?.[1] ?? /^\s*(\w+)\s*$/.exec(member)?.[1] ?? '')
        .filter((name) => name !== ''),
    )
  })
  expect(noted.length).toBeGreaterThan(10)
  expect(noted.filter((name) => !(name in promised))).toEqual([])
})

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function readPromises(): Record<string, { types: string[]; there: string }> {
  const [, section = ''] = readFileSync('docs/operations.md', 'utf8').split('<!-- access log -->')
  const rows = [...section.matchAll(/^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|/gm)]
  return Object.fromEntries(
    rows.map(([, name, types = '', there = '']) => [name, { types: types.split(' or '), there }]),
  )
}
