import { expect } from '@jest/globals'
import fc from 'fast-check'
import { sendRaw } from '../support/raw-request.ts'
import type { Answer, TestServer } from '../support/server.ts'
import { changeJson, jsonChanges, type Known, type Operation, problems, valuesOf } from './contract.ts'
import { anyJson, anyText, longText, mutations, wellFormedText } from './texts.ts'

/** A request that was made up, before names of the test bed such as `«acc»` are replaced by what they stand for. */
export type MadeRequest = {
  method: string
  path: string
  headers: Record<string, string>
  body: string | Uint8Array | undefined
  /** Whether the credentials are those that were given out. */
  isAuthenticated: boolean
}

/** What `«org»` and the like stand for. */
export type Names = Readonly<Record<string, string>>

/** Header fields that something on the way to a handler reads. */
const HEADERS = [
  'accept',
  'accept-encoding',
  'content-type',
  'content-encoding',
  'cookie',
  'dpop',
  'expect',
  'forwarded',
  'host',
  'if-match',
  'if-none-match',
  'origin',
  'prefer',
  'range',
  'referer',
  'te',
  'user-agent',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-http-method-override',
  'x-request-id',
]
/** A path that leads nowhere; a body where none belongs, and is wrong besides. */
const ALWAYS = [404, 413, 415, 422]
const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']
const AWKWARD_VALUES = [
  '',
  '*/*',
  'application/json;q=0',
  'application/x-ndjson',
  'gzip',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
  'application/json;charset',
  '100-continue',
  'bytes=0-',
  '127.0.0.1, ::1, x',
  'for="[::1]";proto=https',
  'null',
  'DELETE',
]

/** Requests for an operation: mostly what openapi.yaml allows, with something wrong here and there. */
export function requestsFor(
  operation: Operation,
  options: { known: Known; credentials: fc.Arbitrary<{ header: Record<string, string>; isGood: boolean }> },
): fc.Arbitrary<MadeRequest> {
  return fc
    .record({
      method: rarely(fc.constant(operation.method), fc.constantFrom(...METHODS)),
      path: pathsOf(operation, options.known),
      query: queriesOf(operation, options.known),
      body: bodiesOf(operation, options.known),
      contentType: rarely(fc.constantFrom(...operation.mediaTypes, 'application/json'), headerValue),
      headers: rarely(
        fc.constant({}),
        fc.dictionary(fc.constantFrom(...HEADERS), headerValue, { minKeys: 1, maxKeys: 3 }),
      ),
      credentials: options.credentials,
    })
    .map(({ method, path, query, body, contentType, headers, credentials }) => ({
      method,
      path: path + query,
      headers: {
        ...(body !== undefined && { 'content-type': contentType }),
        ...credentials.header,
        ...headers,
      },
      body,
      isAuthenticated: credentials.isGood,
    }))
}

/** Sends it, with what the names stand for. */
export function sendMade(server: TestServer, made: MadeRequest, names: Names): Promise<Answer> {
  const put = (text: string) => text.replaceAll(/«(\w+)»/g, (_, name) => names[name] ?? '')
  const { method, body } = made
  return sendRaw(server, {
    method,
    path: put(made.path),
    headers: Object.fromEntries(Object.entries(made.headers).map(([name, value]) => [name, put(value)])),
    body: typeof body === 'string' ? put(body) : (body ?? ''),
  })
}

/**
 * Holds for every answer: no 5xx, a status and a problem that openapi.yaml knows, nothing of our insides in it;
 * and success only for who is known. What an answer of success holds, the server itself checks in the tests.
 */
export function expectSound(answer: Answer, made: MadeRequest, operation: Operation): void {
  const { status, headers, text, body } = answer
  expect({ status: status >= 500 ? status : 'below 500', text }).toEqual({ status: 'below 500', text })
  expect(headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,64}$/)
  expect(text).not.toMatch(/node_modules|\.ts:|at async|kysely|SQLSTATE|syntax error at/i)
  if (status < 400) {
    expect(made.isAuthenticated).toBe(true)
    return
  }
  if (made.method === 'HEAD' || !isWithin(made.path, ['/api/v1/', '/sign-in/'])) return
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json(;|$)/)
  expect({ code: body.code, status: body.status }).toEqual({
    code: body.code,
    status: problems.get(body.code),
  })
  // Where `.` or `..` in it leads elsewhere, it is another operation that answers.
  const isStraight = made.path.startsWith(pathnameOf(made.path))
  if (made.method === operation.method && isStraight)
    expect([...operation.statuses, ...ALWAYS]).toContain(status)
}

/** Whether it still leads there once `..` has been followed, as every client does. */
function isWithin(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => pathnameOf(path).startsWith(root))
}

function pathnameOf(path: string): string {
  return new URL(`http://localhost${path}`).pathname
}

function pathsOf({ path, parameters }: Operation, known: Known): fc.Arbitrary<string> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '')
  const values = names.map((name) => {
    const schema = parameters.find((parameter) => parameter.in === 'path' && parameter.name === name)!.schema
    const good = known[`${name} in ${path.split('/')[5] ?? ''}`] ?? known[name] ?? valuesOf(schema, known)
    const hostile = fc.oneof(
      wellFormedText.map(encodeURIComponent),
      fc.constantFrom('%', '%zz', '%00', '%ff', '..', '.', '%2e%2e%2f', '', '*', 'acc_', '«org»', '«acc»'),
      longText.map((text) => encodeURIComponent(text.toWellFormed()).slice(0, 4000)),
    )
    return rarely(good.map(String), hostile)
  })
  return fc.tuple(...values).map((given) => {
    let position = 0
    return path.replaceAll(/\{\w+\}/g, () => given[position++] ?? '')
  })
}

function queriesOf({ parameters }: Operation, known: Known): fc.Arbitrary<string> {
  const declared = parameters.filter((parameter) => parameter.in === 'query')
  const text = wellFormedText.map(encodeURIComponent)
  const hostileValue = fc.oneof(
    text,
    fc.constantFrom('%', '%00', '%ff', '1e3', '-1', '٣', 'true', '', '0x10'),
  )
  const hostilePair = fc
    .tuple(
      fc.oneof(fc.constantFrom('limit', 'cursor', 'limit[]', '__proto__', 'confirm', ''), text),
      hostileValue,
    )
    .map((pair) => pair.join('='))
  const goodPairs = declared.map(({ name, schema }) =>
    fc
      .tuple(
        fc.boolean(),
        rarely(
          (known[name] ?? valuesOf(schema, known)).map((value) =>
            encodeURIComponent(String(value).toWellFormed()),
          ),
          hostileValue,
        ),
      )
      .map(([isGiven, value]) => (isGiven ? [`${name}=${value}`] : [])),
  )
  return fc
    .tuple(fc.tuple(...goodPairs), rarely(fc.constant([]), fc.array(hostilePair, { maxLength: 3 })))
    .map(([given, hostile]) => [...given.flat(), ...hostile].join('&'))
    .map((query) => (query === '' ? '' : `?${query}`))
}

function bodiesOf({ body }: Operation, known: Known): fc.Arbitrary<string | Uint8Array | undefined> {
  const none = fc.constant(undefined)
  const anything = fc.oneof(
    anyJson.map((value) => JSON.stringify(value)),
    anyText,
    longText.map((text) => text.slice(0, 70_000)),
    fc.uint8Array({ maxLength: 80 }),
    fc.integer({ min: 1, max: 30_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
    fc.integer({ min: 1, max: 9000 }).map((depth) => '{"name":'.repeat(depth) + '1'.padEnd(depth + 1, '}')),
  )
  if (body === undefined) return rarely(none, anything)
  const good = valuesOf(body, known)
  const bent = fc
    .tuple(good, fc.array(jsonChanges(anyJson), { minLength: 1, maxLength: 2 }))
    .map(([value, changes]) => changes.reduce(changeJson, value))
  const written = (values: fc.Arbitrary<unknown>) => values.map((value) => JSON.stringify(value) ?? '')
  return fc.oneof(
    { weight: 6, arbitrary: written(good) },
    { weight: 6, arbitrary: written(bent) },
    { weight: 2, arbitrary: fc.tuple(written(good), mutations).map(([text, mutate]) => mutate(text)) },
    { weight: 1, arbitrary: written(good).map((text) => text.replace('{', '{"name":1,"name":2,')) },
    { weight: 2, arbitrary: anything },
    { weight: 1, arbitrary: none },
  )
}

/** What HTTP lets a header field hold, other than control characters: those no client can send. */
const headerValue = fc.oneof(
  fc.constantFrom(...AWKWARD_VALUES),
  fc.string({ unit: fc.constantFrom(...' !"#%&\'()*+,-./09:;<=>?@AZ[]^_`az{|}~é\u00ff\t'), maxLength: 40 }),
  fc.integer({ min: 1, max: 1500 }).map((length) => 'a,'.repeat(length)),
)

function rarely<Good, Bad>(good: fc.Arbitrary<Good>, bad: fc.Arbitrary<Bad>): fc.Arbitrary<Good | Bad> {
  return fc.oneof({ weight: 9, arbitrary: good }, { weight: 1, arbitrary: bad })
}
