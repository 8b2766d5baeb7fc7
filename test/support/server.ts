import { randomBytes, sign as signBytes } from 'node:crypto'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { expect } from '@jest/globals'
import { createApp } from '../../src/app.ts'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import { maintainPartitions } from '../../src/database/partitions.ts'
import { ensureInstallation } from '../../src/directory/installation.ts'
import { registerOperatorKey } from '../../src/directory/operator-key.ts'
import { maintainSigningKeys, type SigningKeyChange } from '../../src/directory/signing-keys.ts'
import { createHttpServer } from '../../src/http/listener.ts'
import type { RefusalFloor } from '../../src/http/refusal-floor.ts'
import type { Tarpit } from '../../src/http/tarpit.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { createMetrics, type Metrics } from '../../src/observability/metrics.ts'
import type { KeyEncryptionKeys } from '../../src/signing/envelope.ts'
import { type KeyRing, openKeyRing } from '../../src/signing/key-ring.ts'
import { createTestDatabase } from './database.ts'
import { createKeyPair, signCompact, type TestKeyPair } from './jwt.ts'
import { createTestClock, type TestClock } from './test-clock.ts'

/** The application on a PostgreSQL database of its own and a real port, with a clock that a test moves. */
export type TestServer = {
  url: string
  issuer: string
  tokenEndpoint: string
  clock: TestClock
  connection: DatabaseConnection
  metrics: Metrics
  keyRing: KeyRing
  /** Every log line so far, parsed. */
  logs(): Record<string, unknown>[]
  /** POSTs a form; repeated parameters as [name, value] pairs. */
  post(path: string, form: FormInput, headers?: Record<string, string>): Promise<Answer>
  /** A management call as the operator; paths are below /api/v1. */
  api(method: string, path: string, body?: unknown): Promise<Answer>
  /** Organization, resource server with a secret, and a service account with a key and two permissions. */
  createFixture(options?: FixtureOptions): Promise<Fixture>
  /** The operator's access token for the management API. */
  operatorToken(): Promise<string>
  /** Creates and drops partitions for the clock's present time. */
  maintain(): Promise<void>
  /** Lets signing keys take their turns. */
  maintainSigningKeys(): Promise<SigningKeyChange[]>
  close(): Promise<void>
}

export type FormInput = Record<string, string> | readonly (readonly [string, string])[] | string

// biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape
export type Answer = { status: number; headers: Headers; body: any; text: string }

export type FixtureOptions = {
  algorithm?: string
  tokenFormat?: 'jwt' | 'opaque'
  signingAlgorithm?: 'ES256' | 'RS256' | 'EdDSA'
  permissions?: string[]
  assertionPolicy?: Record<string, unknown>
  organizationId?: string
}

/** A service account that can get tokens, and the resource server that they are for. */
export type Fixture = {
  organizationId: string
  accountId: string
  accountEmail: string
  accountPath: string
  keyId: string
  keyPair: TestKeyPair
  resourceServer: { id: string; identifier: string; secret: string; authorization: string }
  /** The known-good claims of conformance.md, with some changed; undefined removes a member. */
  claims(changes?: Record<string, unknown>): Record<string, unknown>
  /** The known-good assertion G, with claims and header members changed. */
  assertion(changes?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>
  /** A token request with G (or with the given assertion), plus further parameters. */
  requestToken(options?: { assertion?: string; form?: Record<string, string> }): Promise<Answer>
  /** An access token, got by a known-good assertion. */
  getToken(form?: Record<string, string>): Promise<string>
  introspect(token: string): Promise<Answer>
}

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** What must never stand in a log (promise 4): checked over every suite when its server closes. */
const SECRETS = /-----BEGIN [A-Z ]*PRIVATE KEY|eyJ[\w-]{8,}\.[\w-]+\.|\bcs[eikst]_[\w-]{43}|"d":"/

/**
 * Where answers of the management API and the sign-in are what is tested, they are held to openapi.yaml. Elsewhere they are
 * only means, and compiling the schemas of all of them would take longer than most tests do.
 */
const ANSWERS_TESTED = /\/test\/(management|sign-in)\//
/** Those of every test server, so that several can be nodes of one installation. */
export const TEST_KEY_ENCRYPTION_KEYS: KeyEncryptionKeys = [Buffer.alloc(32, 7)]

/** With `connection`, `clock` and `issuer` of another server: a second node of the same installation. */
export async function startTestServer(
  options: {
    connection?: DatabaseConnection
    clock?: TestClock
    issuer?: string
    trustedProxies?: readonly string[]
    /** False where a test makes so many requests that their log would fill the memory. */
    keepsLogs?: boolean
    clientCertificateHeader?: string
    /** Without it nobody is slowed down: tests are refused all the time. */
    tarpit?: Tarpit
    /** None where nothing is said: the suites are refused by the ten thousand. */
    refusalFloor?: RefusalFloor
  } = {},
): Promise<TestServer> {
  const clock = options.clock ?? createTestClock()
  const database = options.connection === undefined ? await createTestDatabase() : undefined
  const connection =
    options.connection ??
    connectDatabase((database as NonNullable<typeof database>).address, {
      maxConnections: 8,
      onIdleError: () => undefined,
    })
  const { lines, stream, findLeak } = captureLines(options.keepsLogs ?? true)
  const metrics = createMetrics()

  const atStop: (() => Promise<void>)[] = []
  let handler: RequestListener = (_req, res) => res.writeHead(503).end()
  // Longer than a client on a busy machine lets a connection rest: it must not be closed as it is used again.
  const http = createHttpServer((req, res) => handler(req, res), { keepAliveTimeout: 120_000 })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const issuer = options.issuer ?? url

  const maintain = async () => {
    await maintainPartitions(connection.db, clock.now(), { grantRecordDays: 30, auditEventDays: 400 })
  }
  await maintain()
  const keyEncryptionKeys = TEST_KEY_ENCRYPTION_KEYS
  const { organization, account } = await ensureInstallation(connection.db, { issuer, clock })
  if (account === undefined) throw new Error('a new installation has an operator')
  const signing = { db: connection.db, clock, keyEncryptionKeys, signingKeyRotationDays: 90 }
  await maintainSigningKeys(signing)
  const keyRing = await openKeyRing(signing)
  const operatorKey = await createKeyPair('ES256')
  const { key: operatorKeyRow } = await registerOperatorKey(
    { db: connection.db, clock },
    { organization, account },
    { publicKey: operatorKey.publicJwk as Record<string, unknown>, name: 'test' },
  )
  handler = createApp({
    issuer,
    trustedProxies: options.trustedProxies ?? [],
    clientCertificateHeader: options.clientCertificateHeader,
    tarpit: options.tarpit ?? (async () => undefined),
    refusalFloor: options.refusalFloor ?? (async () => undefined),
    connection,
    keyRing,
    keyEncryptionKeys,
    signingKeyRotationDays: signing.signingKeyRotationDays,
    clock,
    logger: createLogger('debug', stream),
    metrics,
    isDraining: () => false,
    lastRestoration: () => undefined,
    atStop: (task) => atStop.push(task),
    validateResponses: ANSWERS_TESTED.test(expect.getState().testPath ?? ''),
  })

  const operatorId = account.id
  let operator: { token: string; goodUntil: number } | undefined
  const server: TestServer = {
    url,
    issuer,
    tokenEndpoint: `${issuer}/oauth/token`,
    clock,
    connection,
    metrics,
    keyRing,
    logs: () => lines().map((line) => JSON.parse(line)),
    post,
    api,
    createFixture: (fixtureOptions) => createFixture(server, fixtureOptions ?? {}),
    operatorToken,
    maintain,
    maintainSigningKeys: () => maintainSigningKeys(signing),
    async close() {
      await new Promise((resolve) => {
        http.close(resolve)
        http.closeAllConnections()
      })
      for (const task of atStop) await task()
      if (options.connection === undefined) await connection.close()
      await database?.drop()
      const leak = findLeak()
      if (leak !== undefined) throw new Error(`a secret stands in the log: ${leak.slice(0, 400)}`)
    },
  }
  return server

  async function post(path: string, form: FormInput, headers: Record<string, string> = {}): Promise<Answer> {
    const body =
      typeof form === 'string' ? form : new URLSearchParams(form as Record<string, string>).toString()
    return toAnswer(
      await fetch(url + path, {
        method: 'POST',
        redirect: 'manual',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body,
      }),
    )
  }

  async function operatorToken(): Promise<string> {
    if (operator !== undefined && clock.now() < operator.goodUntil) return operator.token
    const now = Math.floor(clock.now() / 1000)
    const claims = {
      iss: operatorId,
      sub: operatorId,
      aud: issuer,
      iat: now,
      exp: now + 60,
      jti: randomBytes(9).toString('base64url'),
    }
    const assertion = await signCompact(
      { alg: 'ES256', kid: operatorKeyRow.id },
      claims,
      operatorKey.privateKey,
    )
    const { body } = await post('/oauth/token', { grant_type: JWT_BEARER, assertion })
    if (body.access_token === undefined) throw new Error(`no operator token: ${JSON.stringify(body)}`)
    operator = { token: body.access_token, goodUntil: clock.now() + 600_000 }
    return operator.token
  }

  async function api(method: string, path: string, body?: unknown): Promise<Answer> {
    const headers: Record<string, string> = { authorization: `Bearer ${await operatorToken()}` }
    if (body !== undefined) headers['content-type'] = 'application/json'
    return toAnswer(
      await fetch(`${url}/api/v1${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    )
  }
}

/** Reads an answer whole: JSON where it is JSON. */
export async function toAnswer(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : undefined,
  }
}

/** Sends a call that must succeed, and answers its body. */
export async function must(answer: Promise<Answer>): Promise<Answer['body']> {
  const { status, body, text } = await answer
  if (status >= 300) throw new Error(`unexpected ${status}: ${text}`)
  return body
}

async function createFixture(server: TestServer, options: FixtureOptions): Promise<Fixture> {
  const suffix = randomBytes(5).toString('hex')
  const algorithm = options.algorithm ?? 'RS256'
  const keyPair = await createKeyPair(algorithm)
  const organizationId =
    options.organizationId ??
    (await must(server.api('POST', '/organizations', { slug: `org-${suffix}`, name: `Org ${suffix}` }))).id
  const resourceServer = await must(
    server.api('POST', '/resource-servers', {
      identifier: `https://api.example.test/${suffix}`,
      name: `API ${suffix}`,
      token_format: options.tokenFormat ?? 'jwt',
      signing_algorithm: options.signingAlgorithm ?? 'ES256',
      permissions: ['read', 'write', 'admin'].map((name) => ({ name, description: name })),
    }),
  )
  const secret = (
    await must(server.api('POST', `/resource-servers/${resourceServer.id}/secrets`, { name: 'test' }))
  ).client_secret
  const account = await must(
    server.api('POST', `/organizations/${organizationId}/service-accounts`, {
      name: `Account ${suffix}`,
      permissions: (options.permissions ?? ['read', 'write']).map((permission) => ({
        resource_server_id: resourceServer.id,
        permission,
      })),
      ...(options.assertionPolicy && { assertion_policy: options.assertionPolicy }),
    }),
  )
  const accountPath = `/organizations/${organizationId}/service-accounts/${account.id}`
  const { key } = await must(
    server.api('POST', `${accountPath}/keys`, {
      type: 'public_key',
      public_key: { ...keyPair.publicJwk, alg: algorithm },
      name: 'test',
    }),
  )
  const authorization = `Basic ${Buffer.from(`${resourceServer.id}:${secret}`).toString('base64')}`

  const fixture: Fixture = {
    organizationId,
    accountId: account.id,
    accountEmail: account.email,
    accountPath,
    keyId: key.id,
    keyPair,
    resourceServer: { id: resourceServer.id, identifier: resourceServer.identifier, secret, authorization },
    claims(changes = {}) {
      const now = Math.floor(server.clock.now() / 1000)
      const good = {
        iss: account.id,
        sub: account.id,
        aud: server.tokenEndpoint,
        iat: now,
        exp: now + 300,
        jti: randomBytes(12).toString('base64url'),
      }
      return Object.fromEntries(
        Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined),
      )
    },
    assertion: (changes, header) =>
      signCompact(
        Object.fromEntries(
          Object.entries({ alg: algorithm, kid: key.id, ...header }).filter(
            ([, value]) => value !== undefined,
          ),
        ),
        fixture.claims(changes),
        keyPair.privateKey,
      ),
    async requestToken({ assertion, form } = {}) {
      return server.post('/oauth/token', {
        grant_type: JWT_BEARER,
        assertion: assertion ?? (await fixture.assertion()),
        ...form,
      })
    },
    async getToken(form) {
      const answer = await fixture.requestToken(form === undefined ? {} : { form })
      if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.text}`)
      return answer.body.access_token
    },
    introspect: (token) => server.post('/oauth/introspect', { token }, { authorization }),
  }
  return fixture
}

/** The message of a compact JWT signed by hand, for headers that jose refuses to sign. */
export function signByHand(
  headerText: string,
  payloadText: string | Uint8Array,
  privateKeyPem: string,
): string {
  const message = `${Buffer.from(headerText).toString('base64url')}.${Buffer.from(payloadText).toString('base64url')}`
  return `${message}.${signBytes('sha256', Buffer.from(message), privateKeyPem).toString('base64url')}`
}

function captureLines(keeps: boolean): {
  lines: () => string[]
  stream: Writable
  findLeak: () => string | undefined
} {
  const chunks: string[] = []
  let leak: string | undefined
  const stream = new Writable({
    write(chunk, _encoding, done) {
      const line = String(chunk)
      if (keeps) chunks.push(line)
      if (SECRETS.test(line)) leak ??= line
      done()
    },
  })
  return {
    lines: () =>
      chunks
        .join('')
        .split('\n')
        .filter((line) => line !== ''),
    stream,
    findLeak: () => leak,
  }
}
