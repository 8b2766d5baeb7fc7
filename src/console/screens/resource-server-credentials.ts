import type { ResourceServer } from '../../database/queries/resource-servers.ts'
import type { ResourceServerKeyRow, ResourceServerSecretRow } from '../../database/tables.ts'
import { listResourceServerKeys } from '../../directory/resource-server-keys.ts'
import { listResourceServerSecrets } from '../../directory/resource-server-secrets.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable, shorten } from '../parts/copy.ts'
import { emptyState } from '../parts/empty.ts'
import { drawKeyState } from '../parts/key-state.ts'
import { linkButton, section } from '../parts/page-header.ts'
import { table } from '../parts/table.ts'
import { time } from '../parts/time.ts'
import { may, type Reply, type SessionVisit } from '../visit.ts'
import { homeOfServer, readServer, resourceServerHeader } from './resource-server.ts'

/** There are seldom more than two of each. */
const ALL = { limit: 200, cursor: undefined }

/** With what a resource server proves who it is when it asks about tokens. */
export async function listCredentials(visit: SessionVisit): Promise<Reply> {
  const { services, actor } = visit
  const server = await readServer(visit)
  const [secrets, keys] = await Promise.all([
    listResourceServerSecrets(services, actor, server.id, ALL),
    listResourceServerKeys(services, actor, server.id, { includeRevoked: false }, ALL),
  ])
  const canManage = may(visit, 'resource_servers:manage')
  const path = `/resource-servers/${server.id}`
  return {
    page: {
      title: `Credentials of ${server.name}`,
      content: html`${resourceServerHeader(visit, server, 'Credentials')}
${drawSecrets(visit, server, secrets.items, canManage)}
${drawKeys(visit, server, keys.items, canManage)}
${apiDisclosure(services.issuer, [
  { title: 'Its secrets', method: 'GET', path: `${path}/secrets` },
  { title: 'Its keys', method: 'GET', path: `${path}/keys` },
  ...(canManage
    ? [{ title: 'Make a secret', method: 'POST', path: `${path}/secrets`, body: { name: 'Production' } }]
    : []),
])}`,
    },
  }
}

function drawSecrets(
  visit: SessionVisit,
  server: ResourceServer,
  secrets: readonly ResourceServerSecretRow[],
  canManage: boolean,
): Html {
  const { services, now } = visit
  const here = `${homeOfServer(visit, server)}/secrets`
  const action = canManage ? linkButton('New secret', `${here}/new`) : undefined
  if (secrets.length === 0) {
    return section(
      'Secrets',
      emptyState({
        title: 'No secrets yet',
        text: 'With a secret the API asks by HTTP Basic whether a token holds. It is the simplest way, and enough where the API can keep a secret.',
        action,
        api: action && {
          issuer: services.issuer,
          request: {
            method: 'POST',
            path: `/resource-servers/${server.id}/secrets`,
            body: { name: 'Production' },
          },
        },
      }),
    )
  }
  return section(
    'Secrets',
    html`${table({
      label: 'Secrets',
      columns: [
        { title: 'Name' },
        { title: 'Begins and ends with' },
        { title: 'Created' },
        { title: 'Last use' },
        ...(canManage ? [{ title: 'Actions', kind: 'action' } as const] : []),
      ],
      rows: secrets.map((secret) => [
        secret.name,
        html`<code>${secret.obfuscated}</code>`,
        time(secret.createdAt, now),
        time(secret.lastUsedAt, now),
        ...(canManage
          ? [
              html`<span class="button-row">${linkButton('Rotate', `${here}/new?instead_of=${secret.id}`, 'plain')}${linkButton('Delete…', `${here}/${secret.id}/delete`, 'plain')}</span>`,
            ]
          : []),
      ]),
    })}
${action && html`<div class="button-row">${action}</div>`}`,
    {
      purpose:
        'Rotating makes a second one; both work until you delete the former. Its last use tells when nobody needs it any more.',
    },
  )
}

function drawKeys(
  visit: SessionVisit,
  server: ResourceServer,
  keys: readonly ResourceServerKeyRow[],
  canManage: boolean,
): Html {
  const { now } = visit
  const here = `${homeOfServer(visit, server)}/keys`
  const action = canManage ? linkButton('Register a key', `${here}/new`, 'plain') : undefined
  if (keys.length === 0) {
    return section(
      'Public keys',
      emptyState({
        title: 'No keys yet',
        text: 'With a key pair the API signs each question instead of sending a secret (private_key_jwt). Only the public half is registered here, so nothing that could leak is shared.',
        action,
      }),
    )
  }
  return section(
    'Public keys',
    html`${table({
      label: 'Public keys',
      columns: [
        { title: 'Name' },
        { title: 'Type' },
        { title: 'Key id' },
        { title: 'State' },
        { title: 'Expires' },
        { title: 'Last use' },
      ],
      rows: keys.map((key) => [
        html`<a href="${here}/${key.id}">${key.name}</a>`,
        key.algorithm,
        copyable(key.kid, { label: 'the key id', shown: shorten(key.kid) }),
        drawKeyState(key, now),
        time(key.expiresAt, now),
        time(key.lastUsedAt, now),
      ]),
    })}
${action && html`<div class="button-row">${action}</div>`}`,
    { purpose: 'With these the API signs what it asks.' },
  )
}
