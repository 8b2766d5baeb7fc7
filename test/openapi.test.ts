import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import express, { type ErrorRequestHandler, type Express } from 'express'
import { middleware } from 'express-openapi-validator'
import request from 'supertest'
import { parseYaml } from './support/yaml.ts'

type Json = Record<string, unknown>
type Media = { schema?: Json; example?: unknown; examples?: Record<string, { value: unknown }> }
type Answer = { $ref?: string; content?: Record<string, Media> }
type Operation = {
  operationId: string
  summary: string
  description: string
  tags: string[]
  security?: Record<string, string[]>[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, Answer>
}
type Contract = {
  info: { version: string }
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  'x-problems': { code: string; status: number; meaning: string }[]
  components: { responses: Record<string, Answer>; schemas: Record<string, Json> }
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const

const tellFaults: ErrorRequestHandler = (error, _req, res, _next) => {
  const paths = new Set((error.errors ?? []).map((fault: { path: string }) => fault.path))
  res.status(error.status ?? 500).json({ status: error.status, paths: [...paths] })
}

const contract = readContract()
const operations = Object.entries(contract.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method) => {
    const operation = item[method]
    return operation === undefined
      ? []
      : [{ name: `${method.toUpperCase()} ${path}`, path, method, operation }]
  }),
)
const managed = operations.filter(({ path }) => /^\/(api\/v1|sign-in)\//.test(path))
const requests = managed.flatMap(({ name, path, method, operation }) =>
  Object.entries(operation.requestBody?.content ?? {}).flatMap(([type, media]) =>
    examplesOf(media).map(([title, body]) => ({
      name: `${name} ${type} ${title}`,
      path,
      method,
      type,
      body,
    })),
  ),
)
const answers = operations.flatMap(({ name, path, method, operation }) =>
  Object.entries(operation.responses).flatMap(([status, answer]) =>
    // The validator knows JSON alone; what is streamed or is a page is held by tests of its own.
    Object.entries(resolve(answer).content ?? {})
      .filter(([type]) => /[/+]json$/.test(type))
      .flatMap(([type, media]) =>
        examplesOf(media).map(([title, body]) => ({
          name: `${name} ${status} ${title}`,
          path,
          method,
          status,
          type,
          body,
        })),
      ),
  ),
)

describe.each(operations)('$name', ({ path, operation }) => {
  test('says what it is', () => {
    expect(operation.operationId).toMatch(/^[a-z]+(?:[A-Z][a-z]+)*$/)
    expect(operation.summary).not.toBe('')
    expect(operation.description).not.toBe('')
    for (const tag of operation.tags) expect(contract.tags.map(({ name }) => name)).toContain(tag)
  })

  test('shows what goes in and out', () => {
    const medias = [operation.requestBody ?? {}, ...Object.values(operation.responses).map(resolve)].flatMap(
      ({ content }) => Object.values(content ?? {}),
    )
    for (const media of medias) expect(media.schema).toBeDefined()
    for (const media of medias) expect(examplesOf(media)).not.toEqual([])
  })

  test('names the permission that it needs, if it is one of the management API', () => {
    if (!path.startsWith('/api/v1/')) return
    const [permission] = operation.security?.[0]?.accessToken ?? []
    expect(operation.description).toContain(
      permission === undefined ? 'Every account may' : `Needs \`${permission}\``,
    )
  })
})

test('operation ids are unique', () => {
  const ids = operations.map(({ operation }) => operation.operationId)
  expect(new Set(ids).size).toBe(ids.length)
})

test('every code of a problem is explained, with the status that its example answers have', () => {
  const { enum: codes } = (
    contract.components.schemas.Problem as { properties: { code: { enum: string[] } } }
  ).properties.code
  expect(contract['x-problems'].map(({ code }) => code)).toEqual(codes)
  for (const { body } of answers) {
    const { code, status } = body as { code?: string; status?: number }
    if (code === undefined) continue
    expect(contract['x-problems']).toContainEqual({ code, status, meaning: expect.any(String) })
  }
})

test('the contract bears the version of the package', () => {
  expect(contract.info.version).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version)
})

describe('the validator takes', () => {
  const app = createValidatingApp({ validateRequests: true })

  test.each(requests)('the example request $name', async ({ path, method, type, body }) => {
    await request(app)[method](fill(path)).type(type).send(JSON.stringify(body)).expect(204)
  })

  test('ids of any form, since a wrong one is answered like an unknown one', async () => {
    for (const id of ['x', 'ORG_1', '%20', `org_${'0'.repeat(1000)}`]) {
      await request(app).get(`/api/v1/organizations/${id}`).expect(204)
    }
  })

  test('times in a query as people write them', async () => {
    await request(app)
      .get(
        `${fill('/api/v1/organizations/{org}/audit-events')}?from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z`,
      )
      .expect(204)
  })
})

describe('the validator refuses', () => {
  const app = createValidatingApp({ validateRequests: true })

  test.each(requests)('an unknown member, by its name: $name', async ({ path, method, type, body }) => {
    const spoilt = { ...(body as Json), colour: 'red' }
    const answer = await request(app)[method](fill(path)).type(type).send(JSON.stringify(spoilt))
    expect(answer.body).toEqual({ status: 400, paths: ['/body/colour'] })
  })

  test.each([
    ['a name with a control character', 'name', { name: 'a\u0007' }],
    ['a name with half a surrogate pair, which jsonb cannot hold', 'name', { name: 'a\ud800' }],
    ['an empty name', 'name', { name: '' }],
    ['a slug that ends in a hyphen', 'slug', { slug: 'acme-' }],
    ['a NUL in a description', 'description', { description: '\u0000' }],
    [
      'a fragment in an audience',
      'assertion_policy/extra_audiences/0',
      policy({ extra_audiences: ['https://a/#b'] }),
    ],
    ['a relative audience', 'assertion_policy/extra_audiences/0', policy({ extra_audiences: ['/a'] })],
    [
      'an assertion of more than an hour',
      'assertion_policy/max_lifetime_seconds',
      policy({ max_lifetime_seconds: 3601 }),
    ],
    ['a permission that is no scope token', 'permissions/0/permission', permission('a "b"')],
    [
      'an unknown member of a first key',
      'initial_key/modulus_lenght',
      { initial_key: { type: 'rsa', modulus_lenght: 2048 } },
    ],
    [
      'a first key without its public half',
      'initial_key/public_key',
      { initial_key: { type: 'public_key' } },
    ],
    [
      'a day that is not in the calendar',
      'initial_key/expires_at',
      { initial_key: { type: 'rsa', expires_at: '2027-02-30T00:00:00Z' } },
    ],
  ])('%s, at its place', async (_what, place, members) => {
    const answer = await request(app)
      .post(fill('/api/v1/organizations/{org}/service-accounts'))
      .send({ name: 'Billing sync', ...members })
    expect(answer.body).toEqual({ status: 400, paths: [`/body/${place}`] })
  })

  test.each(['limit=0', 'limit=201', 'limit=x', 'limit=1&limit=2', 'cursor=%00', 'colour=red'])(
    'the query %s',
    async (query) => {
      const [name] = query.split('=')
      const answer = await request(app).get(`/api/v1/organizations?${query}`)
      expect(answer.body).toEqual({ status: 400, paths: [`/query/${name}`] })
    },
  )
})

describe('the validator finds in order', () => {
  const app = createValidatingApp({ validateResponses: true })

  test.each(answers.map((answer, index) => ({ ...answer, index })))(
    'the example answer $name',
    async ({ path, method, status, body, index }) => {
      const answer = await request(app)[method](fill(path)).set('x-answer', String(index))
      expect(answer.body).toEqual(body)
      expect(answer.status).toBe(Number(status))
    },
  )
})

/** An application that is nothing but the contract: it gives the example answer that is asked for, else 204. */
function createValidatingApp(options: { validateRequests?: boolean; validateResponses?: boolean }): Express {
  const app = express()
  app.use(express.json({ type: ['application/json', 'application/merge-patch+json'] }))
  app.use(
    middleware({
      // Its own copy: the validator takes the examples out.
      apiSpec: readContract() as never,
      validateSecurity: false,
      ajvFormats: { mode: 'full' },
      validateRequests: options.validateRequests === true ? { allErrors: true, discriminator: true } : false,
      validateResponses: options.validateResponses === true,
    }),
  )
  app.use((req, res) => {
    const answer = answers[Number(req.get('x-answer'))]
    if (answer === undefined) res.status(204).end()
    else res.status(Number(answer.status)).type(answer.type).json(answer.body)
  })
  app.use(tellFaults)
  return app
}

function readContract(): Contract {
  return parseYaml(readFileSync('openapi.yaml', 'utf8')) as Contract
}

function resolve(answer: Answer): Answer {
  const name = answer.$ref?.split('/').at(-1)
  return name === undefined ? answer : (contract.components.responses[name] ?? {})
}

/** The examples of a body, else that of its schema. */
function examplesOf(media: Media): [string, unknown][] {
  if (media.examples !== undefined) {
    return Object.entries(media.examples).map(([title, { value }]) => [title, value])
  }
  if (media.example !== undefined) return [['', media.example]]
  const schema = contract.components.schemas[String(media.schema?.$ref).split('/').at(-1) ?? '']
  return schema?.example === undefined ? [] : [['', schema.example]]
}

function fill(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, '$1_1')
}

function policy(members: Json): Json {
  return { assertion_policy: members }
}

function permission(name: string): Json {
  return {
    permissions: [{ resource_server_id: 'rs_01m7yqepk0j0b0z2txqpxwv8h88ehr1xeagc', permission: name }],
  }
}
