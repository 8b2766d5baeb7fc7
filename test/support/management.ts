import { randomBytes } from 'node:crypto'
import { expect } from '@jest/globals'
import { createKeyPair, signCompact } from './jwt.ts'
import { type Answer, must, type TestServer, toAnswer } from './server.ts'

/** Somebody who calls the management API with an access token of their own. */
export type Client = {
  accountId: string
  organizationId: string
  accountPath: string
  token: string
  call(method: string, path: string, body?: unknown): Promise<Answer>
}

type Permission = { resource_server_id: string; permission: string }

/** Any request to the management API; `body` is sent as JSON unless it is a text or bytes. */
export async function request(
  server: TestServer,
  method: string,
  path: string,
  options: { token?: string; headers?: Record<string, string>; body?: unknown } = {},
): Promise<Answer> {
  const { token, body } = options
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  return toAnswer(
    await fetch(`${server.url}/api/v1${path}`, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && !isRaw && { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body !== undefined && { body: isRaw ? (body as string) : JSON.stringify(body) }),
    }),
  )
}

/** The id of the management API as a resource server. */
export async function managementServerId(server: TestServer): Promise<string> {
  const { items } = await must(server.api('GET', '/resource-servers?limit=200'))
  return items.find((item: { built_in: boolean }) => item.built_in).id
}

export async function createOrganization(
  server: TestServer,
  settings?: unknown,
): Promise<{ id: string; slug: string }> {
  const slug = `org-${randomBytes(6).toString('hex')}`
  return must(
    server.api('POST', '/organizations', { slug, name: slug, ...(settings !== undefined && { settings }) }),
  )
}

/** An account with these permissions of the management API (and others), and a token that bears them. */
export async function createClient(
  server: TestServer,
  options: { organizationId: string; permissions: readonly string[]; others?: Permission[]; scope?: string },
): Promise<Client> {
  const management = await managementServerId(server)
  const pair = await createKeyPair('ES256')
  const accounts = `/organizations/${options.organizationId}/service-accounts`
  const account = await must(
    server.api('POST', accounts, {
      name: `client ${randomBytes(4).toString('hex')}`,
      permissions: [
        ...options.permissions.map((permission) => ({ resource_server_id: management, permission })),
        ...(options.others ?? []),
      ],
      initial_key: { type: 'public_key', public_key: pair.publicJwk },
    }),
  )
  const now = Math.floor(server.clock.now() / 1000)
  const claims = { iss: account.id, sub: account.id, aud: server.issuer, iat: now, exp: now + 60 }
  const assertion = await signCompact(
    { alg: 'ES256', kid: account.initial_key.key.id },
    claims,
    pair.privateKey,
  )
  const { access_token: token } = await must(
    server.post('/oauth/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion,
      resource: `${server.issuer}/api/v1`,
      ...(options.scope !== undefined && { scope: options.scope }),
    }),
  )
  return {
    accountId: account.id,
    organizationId: options.organizationId,
    accountPath: `${accounts}/${account.id}`,
    token,
    call: (method, path, body) => request(server, method, path, { token, body }),
  }
}

/** Everything that makes an answer a problem of the management API (RFC 9457), and this code. */
export function expectProblem(answer: Answer, status: number, code: string): void {
  expect({ status: answer.status, code: answer.body?.code, text: answer.text }).toEqual({
    status,
    code,
    text: answer.text,
  })
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json(;|$)/)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.body.status).toBe(status)
  expect(answer.body.type).toMatch(new RegExp(`^https?://.*/docs/problems#${code}$`))
  expect(answer.body.request_id).toBe(answer.headers.get('x-request-id'))
  expect(answer.body.instance).toBe(`urn:countersign:request:${answer.body.request_id}`)
  expect(answer.body.detail).toEqual(expect.stringMatching(/\S/))
  expect(answer.text).not.toMatch(/node_modules|\.ts:|at async|select |insert into|kysely|SQLSTATE/i)
}

/** The places that an `input_invalid` problem points at. */
export function pointersOf(answer: Answer): string[] {
  return answer.body.errors.map((fault: { pointer: string }) => fault.pointer)
}
