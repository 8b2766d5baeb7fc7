import type { ResourceServer } from '../../database/queries/resource-servers.ts'
import { getResourceServerUse, type ResourceServerUse } from '../../directory/resource-server-use.ts'
import { getResourceServer } from '../../directory/resource-servers.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { codeBlock, copyable } from '../parts/copy.ts'
import { facts } from '../parts/facts.ts'
import { liveTokens } from '../parts/live-tokens.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { tabs } from '../parts/tabs.ts'
import { count, duration, time } from '../parts/time.ts'
import { may, type Reply, type SessionVisit } from '../visit.ts'

/** The pages of one resource server, in the order of their tabs. */
const PAGES = [
  { label: 'Overview', path: '' },
  { label: 'Permissions', path: '/permissions' },
  { label: 'Credentials', path: '/credentials' },
] as const

/** Where the pages of a resource server are; begins every link within them. */
export function homeOfServer({ root }: SessionVisit, { id }: Pick<ResourceServer, 'id'>): string {
  return `${root}/resource-servers/${id}`
}

/** The resource server in the path. Throws Refusal `resource_not_found`. */
export function readServer({ services, actor, params }: SessionVisit): Promise<ResourceServer> {
  return getResourceServer(services, actor, params.rs as string)
}

/** What every page of a resource server begins with. */
export function resourceServerHeader(
  visit: SessionVisit,
  server: ResourceServer,
  current: (typeof PAGES)[number]['label'],
  action?: Html,
): Html {
  const here = homeOfServer(visit, server)
  return html`${pageHeader({
    title: server.name,
    purpose: server.builtIn
      ? 'The management API of this server itself. Its permissions are fixed.'
      : 'An API that takes access tokens of this server.',
    action,
    above: { label: 'Resource servers', to: `${visit.root}/resource-servers` },
  })}
${tabs(
  server.name,
  PAGES.map(({ label, path }) => ({ label, to: `${here}${path}`, isCurrent: label === current })),
)}`
}

/** One resource server: how its tokens are, who uses it, and how it asks about them. */
export async function showResourceServer(visit: SessionVisit): Promise<Reply> {
  const { services, actor } = visit
  const server = await readServer(visit)
  const use = await getResourceServerUse(services, actor, server.id)
  const here = homeOfServer(visit, server)
  const canManage = may(visit, 'resource_servers:manage')
  const path = `/resource-servers/${server.id}`
  return {
    page: {
      title: server.name,
      content: html`${resourceServerHeader(visit, server, 'Overview', canManage ? linkButton('Edit', `${here}/edit`, 'plain') : undefined)}
${drawFacts(visit, server, use)}
${!server.builtIn && drawUse(visit, server, use)}
${
  canManage &&
  !server.builtIn &&
  section(
    'Delete',
    html`<div class="button-row">${linkButton('Delete…', `${here}/delete`, 'danger')}</div>`,
    {
      purpose: 'Takes its permissions from every account and ends its tokens. It cannot be undone.',
    },
  )
}
${apiDisclosure(services.issuer, [
  { title: 'This resource server', method: 'GET', path },
  { title: 'Change it', method: 'PATCH', path, body: { token_lifetime_seconds: 600 } },
  ...(server.builtIn ? [] : [{ title: 'Delete it', method: 'DELETE', path }]),
])}`,
    },
  }
}

function drawFacts(
  { now }: SessionVisit,
  server: ResourceServer,
  { holders, live }: ResourceServerUse,
): Html {
  const { tokenFormat, senderConstraints } = server
  const bindings = senderConstraints.map((one) => (one === 'dpop' ? 'DPoP' : 'client certificates'))
  return facts([
    ['Identifier', copyable(server.identifier, { label: 'the identifier' })],
    ['Id', copyable(server.id, { label: 'the id' })],
    ['Tokens', tokenFormat === 'jwt' ? `JWT, signed with ${server.signingAlgorithm}` : 'Opaque'],
    ['Life time', duration(server.tokenLifetimeSeconds)],
    [
      'Bound tokens',
      bindings.length === 0
        ? html`<span class="muted">It checks no binding, so it gets no bound tokens.</span>`
        : `It checks ${bindings.join(' and ')}.`,
    ],
    ['Signed answers', `With ${server.introspectionSigningAlgorithm}, where it asks for them.`],
    [
      'Used by',
      holders.accounts === 0
        ? html`<span class="muted">No account has a permission of it yet.</span>`
        : `${count(holders.accounts, 'account')} of ${count(holders.organizations, 'organization')}, with ${liveTokens(live)}`,
    ],
    ['Created', time(server.createdAt, now)],
  ])
}

/** What the API has to do, with this server's real addresses. */
function drawUse(visit: SessionVisit, server: ResourceServer, { credentials }: ResourceServerUse): Html {
  const { services } = visit
  const canAsk = credentials.secrets + credentials.keys > 0
  return html`${section(
    'Ask whether a token holds',
    html`${codeBlock(introspectionLine(services.issuer, server.id), 'the introspection request')}
<p class="muted">${
      canAsk
        ? html`<code>curl</code> asks for the secret, so that it stands in no history. The answer has <code>"active": true</code>, the account and its scope, or nothing but <code>"active": false</code>.`
        : html`It has nothing to authenticate with yet: make a secret or register a key under <a href="${homeOfServer(visit, server)}/credentials">Credentials</a>.`
    }</p>`,
    {
      purpose:
        'The API sends each token that it is given. The answer is true at this moment: a revoked account, key or permission shows at once.',
    },
  )}
${
  server.tokenFormat === 'jwt' &&
  section(
    'Or verify the JWT',
    facts([
      ['Issuer', copyable(services.issuer, { label: 'the issuer' })],
      ['Audience', copyable(server.identifier, { label: 'the audience' })],
      [
        'Public keys',
        copyable(`${services.issuer}/.well-known/jwks.json`, { label: 'the address of the keys' }),
      ],
      ['Algorithm', server.signingAlgorithm],
      ['Type', html`<code>at+jwt</code>`],
    ]),
    {
      purpose: `Without a request, but a revoked token then passes until it expires, after ${duration(server.tokenLifetimeSeconds)} at most.`,
    },
  )
}`
}

/** curl asks for the secret: so it stands in no history. */
export function introspectionLine(issuer: string, serverId: string): string {
  return `curl -sS -u ${serverId} ${issuer}/oauth/introspect \\\n  --data-urlencode "token=$TOKEN"`
}
