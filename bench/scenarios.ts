import { prepareAssertions } from './assertions.ts'
import type { Countersign, TokenKind } from './countersign.ts'
import { formRequest, grantForm, tokenRequest } from './load.ts'
import type { ComparedServers } from './servers.ts'

export type ServerName = 'countersign' | 'oidc-provider' | 'limit'

/** One kind of work on one server. */
export type Scenario = {
  id: string
  server: ServerName
  /** What every answer must hold. */
  expected: string
  /** The requests of one slot. `assertions` are fresh for this server, one for each request, by the account of the kind. */
  prepare(count: number, assertions: Record<TokenKind, readonly string[]>): Buffer[] | Promise<Buffer[]>
}

const CLIENT_ASSERTION = encodeURIComponent('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
/** Tokens that introspections ask about in turn: fewer than the memory of oidc-provider's adapter keeps. */
const INTROSPECTED_TOKENS = 200

/** All that is measured. Servers that take assertions are sent the same ones. */
export function listScenarios(countersign: Countersign, compared: ComparedServers): Scenario[] {
  return [
    { ...tokenAt('jwt'), id: 'limit token', server: 'limit' },
    tokenAt('jwt'),
    tokenAt('opaque'),
    tokenAt('rs256'),
    tokenAtProvider('jwt'),
    tokenAtProvider('opaque'),
    introspectionOf('jwt', 'jwt', issueTokens),
    introspectionOf('opaque', 'opaque', issueTokens),
    introspectionOf('rs256', 'rs256', issueTokens),
    introspectionOf('API token', 'jwt', async (kind) => [countersign.subjects[kind].apiToken]),
    {
      id: 'limit introspection',
      server: 'limit',
      expected: '"active":true',
      prepare: async (count) => introspections(count, '/', 'Basic x', ['x']),
    },
    {
      id: 'oidc-provider opaque introspection',
      server: 'oidc-provider',
      expected: '"active":true',
      prepare: async (count) =>
        introspections(count, '/token/introspection', compared.introspector, await issueTokensAtProvider()),
    },
  ]

  function tokenAt(kind: TokenKind): Scenario {
    return {
      id: `countersign ${kind} token`,
      server: 'countersign',
      expected: '"access_token"',
      prepare: (_count, assertions) => assertions[kind].map((assertion) => tokenRequest(assertion)),
    }
  }

  function tokenAtProvider(kind: 'jwt' | 'opaque'): Scenario {
    return {
      id: `oidc-provider ${kind} token`,
      server: 'oidc-provider',
      expected: '"access_token"',
      prepare: (_count, assertions) =>
        assertions[kind].map((assertion) =>
          formRequest('/token', clientForm(assertion, countersign.subjects[kind].resource)),
        ),
    }
  }

  function introspectionOf(
    name: string,
    kind: TokenKind,
    tokensOf: (kind: TokenKind) => Promise<string[]>,
  ): Scenario {
    return {
      id: `countersign ${name} introspection`,
      server: 'countersign',
      expected: '"active":true',
      prepare: async (count) =>
        introspections(count, '/oauth/introspect', countersign.introspectors[kind], await tokensOf(kind)),
    }
  }

  async function issueTokens(kind: TokenKind): Promise<string[]> {
    const assertions = await prepareAssertions(countersign.subjects[kind].source, INTROSPECTED_TOKENS)
    const url = `${countersign.issuer}/oauth/token`
    return Promise.all(assertions.map((assertion) => requestToken(url, grantForm(assertion))))
  }

  async function issueTokensAtProvider(): Promise<string[]> {
    const { source, resource } = countersign.subjects.opaque
    const assertions = await prepareAssertions(source, INTROSPECTED_TOKENS)
    const url = `http://127.0.0.1:${compared.provider.port}/token`
    return Promise.all(assertions.map((assertion) => requestToken(url, clientForm(assertion, resource))))
  }
}

function clientForm(assertion: string, resource: string): string {
  return (
    `grant_type=client_credentials&client_assertion_type=${CLIENT_ASSERTION}&client_assertion=${assertion}` +
    `&scope=bench%3Aread&resource=${encodeURIComponent(resource)}`
  )
}

/** Introspections that ask about these tokens in turn. */
export function introspections(
  count: number,
  path: string,
  authorization: string,
  tokens: readonly string[],
): Buffer[] {
  return Array.from({ length: count }, (_, index) =>
    formRequest(path, `token=${tokens[index % tokens.length]}`, { Authorization: authorization }),
  )
}

/** Gets one token, apart from what is measured. */
export async function requestToken(url: string, form: string): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form,
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${text}`)
  return JSON.parse(text).access_token
}
