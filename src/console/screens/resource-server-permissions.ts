import type { ResourceServer } from '../../database/queries/resource-servers.ts'
import type { Definition } from '../../directory/definitions.ts'
import { INTROSPECT_PERMISSION } from '../../directory/management-permissions.ts'
import { notFound } from '../../directory/reach.ts'
import { getHoldersOfEach, getPermissionHolders } from '../../directory/resource-server-use.ts'
import { type ResourceServerPatch, updateResourceServer } from '../../directory/resource-servers.ts'
import { type Draft, freshDraft, line, readForm, refused, refusedDraft, withFault } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { dangerPage } from '../parts/danger.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { faultOfPermission } from '../parts/resource-server-fields.ts'
import { table } from '../parts/table.ts'
import { count } from '../parts/time.ts'
import { readQuery } from '../query.ts'
import { may, type Page, type Reply, type SessionVisit } from '../visit.ts'
import { homeOfServer, readServer, resourceServerHeader } from './resource-server.ts'

const DESCRIPTION = { description: line({ max: 500 }) }
const FIELDS = { name: line({ max: 100, required: 'Give the permission a name.' }), ...DESCRIPTION }
/** A new one stands first in what is sent. */
const FAULTS = { '/permissions/0/name': 'name', '/permissions/0/description': 'description' }

/** Changes the list of permissions, and nothing else. */
const NO_CHANGE: ResourceServerPatch = {
  name: undefined,
  tokenFormat: undefined,
  signingAlgorithm: undefined,
  introspectionSigningAlgorithm: undefined,
  tokenLifetimeSeconds: undefined,
  senderConstraints: undefined,
  permissions: undefined,
}

/** What can be granted of a resource server, and how many accounts have it. */
export async function listServerPermissions(visit: SessionVisit): Promise<Reply> {
  return { page: await draw(visit, freshDraft()) }
}

export async function addServerPermission(visit: SessionVisit): Promise<Reply> {
  const { services, actor, form: given } = visit
  const server = await readServer(visit)
  const read = readForm(given, FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { name, description } = read.values
  const fault = server.permissions.some((one) => one.name === name)
    ? 'This permission is there already.'
    : faultOfPermission(name)
  if (fault !== undefined) {
    const draft = withFault(given, { field: 'name', text: fault })
    return refused(await draw(visit, draft), draft)
  }
  try {
    const permissions = (present: readonly Definition[]) => [{ name, description }, ...present]
    await updateResourceServer(services, actor, server.id, { ...NO_CHANGE, permissions })
  } catch (error) {
    const draft = refusedDraft(error, given, FAULTS)
    return refused(await draw(visit, draft), draft)
  }
  return { to: `${homeOfServer(visit, server)}/permissions`, done: `${name} can be granted now.` }
}

export async function editServerPermission(visit: SessionVisit): Promise<Reply> {
  const { server, permission } = await readPermission(visit)
  return { page: drawEdit(visit, server, permission, freshDraft({ description: permission.description })) }
}

export async function saveServerPermission(visit: SessionVisit): Promise<Reply> {
  const { services, actor, form: given } = visit
  const { server, permission } = await readPermission(visit)
  const read = readForm(given, DESCRIPTION)
  if ('draft' in read) return refused(drawEdit(visit, server, permission, read.draft), read.draft)
  const { name } = permission
  const { description } = read.values
  const permissions = (present: readonly Definition[]) =>
    present.map((one) => (one.name === name ? { name, description } : one))
  await updateResourceServer(services, actor, server.id, { ...NO_CHANGE, permissions })
  return { to: `${homeOfServer(visit, server)}/permissions`, done: `${name} is saved.` }
}

export async function askToRemovePermission(visit: SessionVisit): Promise<Reply> {
  return { page: await drawRemove(visit) }
}

/** Takes it from every account and role. */
export async function removeServerPermission(visit: SessionVisit): Promise<Reply> {
  const { services, actor } = visit
  const { server, permission } = await readPermission(visit)
  const permissions = (present: readonly Definition[]) =>
    present.filter(({ name }) => name !== permission.name)
  await updateResourceServer(services, actor, server.id, { ...NO_CHANGE, permissions })
  return {
    to: `${homeOfServer(visit, server)}/permissions`,
    done: `${permission.name} is removed, and nobody has it any more.`,
  }
}

async function draw(visit: SessionVisit, draft: Draft): Promise<Page> {
  const { services, actor } = visit
  const server = await readServer(visit)
  const holders = await getHoldersOfEach(services, actor, server.id)
  const canChange = may(visit, 'resource_servers:manage') && !server.builtIn
  const path = `/resource-servers/${server.id}`
  return {
    title: `Permissions of ${server.name}`,
    content: html`${resourceServerHeader(visit, server, 'Permissions')}
${faultSummary(draft)}
${drawTable(visit, server, holders, canChange)}
${canChange && drawForm(visit, server, draft)}
${apiDisclosure(services.issuer, [
  { title: 'What can be granted', method: 'GET', path },
  ...(canChange
    ? [{ title: 'Replace the whole list', method: 'PATCH', path, body: { permissions: ownOf(server) } }]
    : []),
])}`,
  }
}

/** Without the one that is always there. */
function ownOf({ permissions }: ResourceServer): readonly Definition[] {
  return permissions.filter(({ name }) => name !== INTROSPECT_PERMISSION.name)
}

function drawTable(
  visit: SessionVisit,
  server: ResourceServer,
  holders: Map<string, number>,
  canChange: boolean,
): Html {
  const here = `${homeOfServer(visit, server)}/permissions`
  const acts = (name: string): Html => {
    if (name === INTROSPECT_PERMISSION.name) return html`<span class="muted">always there</span>`
    const query = new URLSearchParams({ name })
    return html`<span class="button-row">${linkButton('Edit', `${here}/edit?${query}`, 'plain')}${linkButton('Remove…', `${here}/remove?${query}`, 'plain')}</span>`
  }
  return table({
    label: `Permissions of ${server.name}`,
    columns: [
      { title: 'Permission' },
      { title: 'What it allows' },
      { title: 'Accounts', kind: 'number' },
      ...(canChange ? [{ title: 'Actions', kind: 'action' } as const] : []),
    ],
    rows: server.permissions.map(({ name, description }) => [
      html`<code>${name}</code>`,
      description === '' ? html`<span class="muted">Nobody has said yet.</span>` : description,
      holders.get(name) ?? 0,
      ...(canChange ? [acts(name)] : []),
    ]),
  })
}

function drawForm(visit: SessionVisit, server: ResourceServer, draft: Draft): Html {
  return section(
    'Add a permission',
    form({
      action: `${homeOfServer(visit, server)}/permissions`,
      formToken: visit.formToken,
      content: html`${textField(draft, { name: 'name', label: 'Name', isMono: true, help: 'A scope on the wire, such as invoices:read. It never changes.' })}
${textField(draft, { name: 'description', label: 'What it allows', isOptional: true, help: 'For those who grant it.' })}
${actions(submit('Add permission'))}`,
    }),
    {
      purpose:
        'Whoever has it gets it as a scope in tokens for this API. What it means there is for the API to say.',
    },
  )
}

function drawEdit(visit: SessionVisit, server: ResourceServer, { name }: Definition, draft: Draft): Page {
  const back = `${homeOfServer(visit, server)}/permissions`
  return {
    title: `Edit ${name}`,
    content: html`${pageHeader({
      title: name,
      purpose: 'What people read who grant it. Tokens are not touched.',
      above: { label: `Permissions of ${server.name}`, to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${back}/edit?${new URLSearchParams({ name })}`,
  formToken: visit.formToken,
  content: html`${textField(draft, { name: 'description', label: 'What it allows', isOptional: true, hasFocus: true })}
${actions(submit('Save changes'), { label: 'Cancel', to: back })}`,
})}`,
  }
}

async function drawRemove(visit: SessionVisit): Promise<Page> {
  const { services, actor, formToken } = visit
  const { server, permission } = await readPermission(visit)
  const { name } = permission
  const { accounts, organizations, roles } = await getPermissionHolders(services, actor, server.id, name)
  const back = `${homeOfServer(visit, server)}/permissions`
  return {
    title: `Remove ${name}`,
    content: dangerPage({
      title: html`Remove <code class="title-code">${name}</code>?`,
      consequences: [
        accounts === 0
          ? 'No account has it.'
          : `${count(accounts, 'account')} of ${count(organizations, 'organization')} ${accounts === 1 ? 'loses' : 'lose'} it now, also in tokens that are live.`,
        roles === 0
          ? 'No role gives it.'
          : `${count(roles, 'role')} ${roles === 1 ? 'gives' : 'give'} it no more.`,
        'Added again under the same name, it has to be granted anew.',
      ],
      act: 'Remove permission',
      action: `${back}/remove?${new URLSearchParams({ name })}`,
      formToken,
      back: { label: 'Keep it', to: back },
    }),
  }
}

/** The permission that the address names, if it can be changed. Throws Refusal `resource_not_found`. */
async function readPermission(
  visit: SessionVisit,
): Promise<{ server: ResourceServer; permission: Definition }> {
  const server = await readServer(visit)
  const name = readQuery(visit.query, 'name')
  const permission = ownOf(server).find((one) => one.name === name)
  if (permission === undefined || server.builtIn) throw notFound('permission', name ?? '')
  return { server, permission }
}
