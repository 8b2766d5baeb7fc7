import type { Role } from '../../database/queries/roles.ts'
import { countRoleHolders } from '../../directory/holders.ts'
import { listRoles as list } from '../../directory/roles.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { emptyState } from '../parts/empty.ts'
import { linkButton, pageHeader } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { byResourceServer, readPermissions } from '../parts/permission-picker.ts'
import { badge } from '../parts/state.ts'
import { table } from '../parts/table.ts'
import { tabs } from '../parts/tabs.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'

/** The roles that accounts of an organization can have, and how many have each. */
export async function listRoles(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization } = visit
  const page = pageOf(visit)
  const { items, nextCursor } = await list(services, actor, organization.id, page)
  const ids = items.map(({ id }) => id)
  const holders = await countRoleHolders(services, actor, organization.id, ids)
  const hasOwn = items.some((role) => role.organizationId !== null) || page.cursor !== undefined
  return {
    page: {
      title: 'Roles',
      content: html`${header(visit, 'Roles', { hasAction: hasOwn })}
${table({
  label: 'Roles',
  columns: [
    { title: 'Name' },
    { title: 'Description' },
    { title: 'Permissions', kind: 'number' },
    { title: 'Service accounts', kind: 'number' },
    { title: 'Administrators', kind: 'number' },
  ],
  rows: items.map((role) => {
    const { serviceAccounts, administrators } = holders(role.id)
    return [
      html`<span class="named"><a href="${visit.path}/${role.id}">${role.name}</a>${drawKind(role)}</span>`,
      html`<span class="clip wide" title="${role.description}">${role.description}</span>`,
      role.permissions.length,
      serviceAccounts,
      administrators,
    ]
  }),
})}
${paging(visit, nextCursor)}
${!hasOwn && drawEmpty(visit)}
${apiDisclosure(services.issuer, [
  { title: 'This list', method: 'GET', path: `/organizations/${organization.id}/roles` },
])}`,
    },
  }
}

/** Everything that can be given, and who says so: what roles are made of. */
export async function listPermissions(visit: OrganizationVisit): Promise<Reply> {
  const { services, organization } = visit
  const permissions = await readPermissions(visit)
  return {
    page: {
      title: 'Permissions',
      content: html`${header(visit, 'Permissions', { hasAction: false })}
${byResourceServer(permissions).map(
  ([{ resourceServerName, resourceServerIdentifier }, entries]) => html`<section class="section">
  <h2>${resourceServerName}</h2>
  <p class="purpose"><code>${resourceServerIdentifier}</code></p>
  ${table({
    label: `Permissions of ${resourceServerName}`,
    isAligned: true,
    columns: [{ title: 'Name' }, { title: 'What it allows' }, { title: 'Yours to give' }],
    rows: entries.map(({ name, description, grantable }) => [
      html`<code>${name}</code>`,
      description,
      grantable ? 'yes' : html`<span class="muted">no</span>`,
    ]),
  })}
</section>`,
)}
${apiDisclosure(services.issuer, [
  { title: 'These permissions', method: 'GET', path: `/organizations/${organization.id}/permissions` },
])}`,
    },
  }
}

/** Whether a role is there in every organization, or one of its own. */
function drawKind({ organizationId }: Pick<Role, 'organizationId'>): Html | undefined {
  return organizationId === null ? badge('off', 'built in') : undefined
}

const PURPOSE = {
  Roles: 'Named sets of permissions. Whoever has a role gains and loses with it at once.',
  Permissions:
    'What roles are made of. Resource servers define permissions; you can give only what you have yourself.',
} as const

function header(
  visit: OrganizationVisit,
  current: keyof typeof PURPOSE,
  { hasAction }: { hasAction: boolean },
): Html {
  const above = `${visit.home}/roles`
  const action = hasAction && may(visit, 'roles:manage') ? linkButton('New role', `${above}/new`) : undefined
  return html`${pageHeader({ title: current, purpose: PURPOSE[current], action })}
${tabs('Roles and permissions', [
  { label: 'Roles', to: above, isCurrent: current === 'Roles' },
  { label: 'Permissions', to: `${above}/permissions`, isCurrent: current === 'Permissions' },
])}`
}

function drawEmpty(visit: OrganizationVisit): Html {
  const { services, organization, home } = visit
  const canManage = may(visit, 'roles:manage')
  return html`<div class="below">${emptyState({
    title: 'No roles of your own yet',
    text: html`The built-in ones are about administering. For what your own APIs allow, make a role such as «Bookkeeping»: the permissions that one kind of program needs, in one place. ${!canManage && 'You may look at roles here, but not create them.'}`,
    action: canManage ? linkButton('New role', `${home}/roles/new`) : undefined,
    api: canManage
      ? {
          issuer: services.issuer,
          request: {
            method: 'POST',
            path: `/organizations/${organization.id}/roles`,
            body: { name: 'Bookkeeping', permissions: [] },
          },
        }
      : undefined,
  })}</div>`
}
