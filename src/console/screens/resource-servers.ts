import type { ResourceServer } from '../../database/queries/resource-servers.ts'
import { listResourceServers as list } from '../../directory/resource-servers.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { emptyState } from '../parts/empty.ts'
import { linkButton, pageHeader } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { badge } from '../parts/state.ts'
import { table } from '../parts/table.ts'
import { duration } from '../parts/time.ts'
import { may, type Reply, type SessionVisit } from '../visit.ts'

/** What is sent to register one, where a page shows the request. */
export const NEW_RESOURCE_SERVER = {
  method: 'POST',
  path: '/resource-servers',
  body: {
    identifier: 'https://invoices.example.com',
    name: 'Invoices',
    permissions: [{ name: 'invoices:read', description: 'Read invoices' }],
  },
}

/** The APIs that take tokens of this server. */
export async function listResourceServers(visit: SessionVisit): Promise<Reply> {
  const { services, root, actor } = visit
  const page = pageOf(visit)
  const { items, nextCursor } = await list(services, actor, page)
  const canManage = may(visit, 'resource_servers:manage')
  const isEmpty = page.cursor === undefined && items.every(({ builtIn }) => builtIn)
  const action = canManage ? linkButton('New resource server', `${root}/resource-servers/new`) : undefined
  return {
    page: {
      title: 'Resource servers',
      content: html`${pageHeader({
        title: 'Resource servers',
        purpose:
          'The APIs that take access tokens of this server. Each says how its tokens are, and which permissions there are.',
        action: isEmpty ? undefined : action,
      })}
${drawTable(visit, items)}
${isEmpty && drawEmpty(visit, action)}
${paging(visit, nextCursor)}
${apiDisclosure(services.issuer, [
  { title: 'List resource servers', method: 'GET', path: '/resource-servers' },
  ...(canManage ? [{ title: 'Register one', ...NEW_RESOURCE_SERVER }] : []),
])}`,
    },
  }
}

/** How the tokens of a resource server are, in a line. */
function describeTokens(server: ResourceServer): string {
  const form = server.tokenFormat === 'jwt' ? `JWT, ${server.signingAlgorithm}` : 'Opaque'
  return `${form}, ${duration(server.tokenLifetimeSeconds)}`
}

function drawTable({ root }: SessionVisit, items: readonly ResourceServer[]): Html {
  return table({
    label: 'Resource servers',
    columns: [
      { title: 'Name' },
      { title: 'Identifier' },
      { title: 'Tokens' },
      { title: 'Permissions', kind: 'number' },
    ],
    rows: items.map((server) => [
      html`<a href="${root}/resource-servers/${server.id}">${server.name}</a>${server.builtIn && html` ${badge('off', 'built in')}`}`,
      html`<code>${server.identifier}</code>`,
      describeTokens(server),
      server.permissions.length,
    ]),
  })
}

function drawEmpty({ services }: SessionVisit, action: Html | undefined): Html {
  return html`<div class="below">${emptyState({
    title: 'No API of yours yet',
    text: 'Register an API here, and service accounts of every organization can be given its permissions. Their tokens then name it as the audience, and it asks this server whether they still hold.',
    action,
    api: action && { issuer: services.issuer, request: NEW_RESOURCE_SERVER },
  })}</div>`
}
