import type { Answer, Fixture, TestServer } from './server.ts'
import { must } from './server.ts'

/** An API token of a service account: the key, the token, and ways to use it. */
export type ApiToken = {
  keyId: string
  keyPath: string
  token: string
  key: Record<string, unknown>
  /** Basic credentials, with the account's id. */
  authorization: string
  /** A token request by client_credentials with Basic credentials. */
  requestToken(form?: Record<string, string>, on?: TestServer): Promise<Answer>
}

export async function createApiToken(
  server: TestServer,
  fixture: Pick<Fixture, 'accountPath' | 'accountId'>,
  body: Record<string, unknown> = {},
): Promise<ApiToken> {
  const created = await must(
    server.api('POST', `${fixture.accountPath}/keys`, { type: 'api_token', ...body }),
  )
  const authorization = basic(fixture.accountId, created.api_token)
  return {
    keyId: created.key.id,
    keyPath: `${fixture.accountPath}/keys/${created.key.id}`,
    token: created.api_token,
    key: created.key,
    authorization,
    requestToken: (form = {}, on = server) =>
      on.post('/oauth/token', { grant_type: 'client_credentials', ...form }, { authorization }),
  }
}

/** Basic credentials as they are, not form-encoded. */
export function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}

/** A well-formed API token that was never given out, for the key with that id. */
export { createApiToken as forgeApiToken } from '../../src/tokens/api-token.ts'
