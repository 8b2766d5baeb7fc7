import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { makeFolder, runCommand, type ServerProcess, startProcess, urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

type Value = { stringValue?: string; intValue?: number | string }
type Span = {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  attributes: { key: string; value: Value }[]
}
type Export = {
  resourceSpans: { resource: { attributes: Span['attributes'] }; scopeSpans: { spans: Span[] }[] }[]
}

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'

let folder: string
let database: TestDatabase
let receiver: Server
let server: ServerProcess
const received: Export[] = []
const paths: string[] = []
const bodies: string[] = []

beforeAll(async () => {
  folder = await makeFolder()
  database = await createTestDatabase()
  receiver = createServer((req, res) => {
    let body = ''
    req.on('data', (chunk) => {
      body += chunk
    })
    req.on('end', () => {
      paths.push(req.url ?? '')
      bodies.push(body)
      received.push(JSON.parse(body))
      res.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
    })
  })
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  const env = {
    DATABASE_URL: urlOf(database),
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
  }
  server = await startProcess({ cwd: folder, env })
  const token = await runCommand(['token', '--key-file', 'keys/operator.json'], { cwd: folder })
  expect(token.code).toBe(0)
  await fetch(`${server.issuer}/api/v1/me?secret=in-the-query`, {
    headers: { authorization: `Bearer ${token.stdout.trim()}`, traceparent: `00-${TRACE}-${PARENT}-01` },
  })
  await fetch(`${server.issuer}/oauth/token`, {
    method: 'POST',
    headers: { traceparent: '00-00000000000000000000000000000000-b7ad6b7169203331-01' },
    body: new URLSearchParams({ grant_type: 'unknown' }),
  })
  await fetch(`${server.issuer}/health/live`, {
    headers: { traceparent: `00-${'f'.repeat(32)}-${PARENT}-00` },
  })
  // What has not been sent is sent as the server stops.
  expect(await server.end('SIGTERM')).toMatchObject({ code: 0 })
})
afterAll(async () => {
  receiver.close()
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

const spans = () =>
  received.flatMap(({ resourceSpans }) =>
    resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)),
  )
const readAttribute = (list: Span['attributes'], name: string) => {
  const value = list.find(({ key }) => key === name)?.value
  return value?.stringValue ?? value?.intValue
}

describe('with OTEL_EXPORTER_OTLP_ENDPOINT, a collector is sent', () => {
  test('by OTLP over HTTP, under the name of the service and what the environment adds', () => {
    expect(new Set(paths)).toEqual(new Set(['/v1/traces']))
    const attributes = received[0]?.resourceSpans[0]?.resource.attributes ?? []
    expect(readAttribute(attributes, 'service.name')).toBe('countersign')
    expect(readAttribute(attributes, 'deployment.environment')).toBe('test')
  })

  test('of a token its request, the judging of its assertion and what waited for the database, in one trace', () => {
    const issued = spans().filter(({ name }) => name === 'POST token')
    const request = issued.find(
      ({ attributes }) => readAttribute(attributes, 'http.response.status_code') === 200,
    )
    const trace = spans().filter(({ traceId }) => traceId === request?.traceId)
    expect(trace.map(({ name }) => name).sort()).toEqual([
      'POST token',
      'assertion',
      'database find_issuers',
      'database record_grants',
    ])
    const assertion = trace.find(({ name }) => name === 'assertion')
    expect(assertion?.parentSpanId).toBe(request?.spanId)
    expect(trace.find(({ name }) => name === 'database find_issuers')?.parentSpanId).toBe(assertion?.spanId)
  })

  test('of a request with traceparent a part of that trace', () => {
    const request = spans().find(({ name }) => name === 'GET management')
    expect(request).toMatchObject({ traceId: TRACE, parentSpanId: PARENT })
    expect(spans().some(({ name, traceId }) => name === 'database find_tokens' && traceId === TRACE)).toBe(
      true,
    )
  })

  test('a new trace where that is none, and nothing that its caller does not sample', () => {
    const refused = spans().find(
      ({ attributes }) => readAttribute(attributes, 'countersign.reason') === 'grant_type_unsupported',
    )
    expect(refused).toMatchObject({ name: 'POST token', traceId: expect.not.stringMatching(/^0+$/) })
    expect(refused?.parentSpanId ?? '').toBe('')
    expect(spans().filter(({ name }) => name === 'GET health')).toEqual([])
  })

  test('under the id that stands in the log, and no secret', () => {
    const ids = spans().flatMap(({ attributes }) => readAttribute(attributes, 'countersign.request_id') ?? [])
    expect(ids.length).toBeGreaterThanOrEqual(3)
    expect(ids.filter((id) => !server.stdout().includes(String(id)))).toEqual([])
    expect(bodies.join('')).not.toMatch(/in-the-query|eyJ[\w-]+\.|cs[eikst]_[\w-]{43}/)
  })
})
