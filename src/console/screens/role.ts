import type { Role } from '../../database/queries/roles.ts'
import { countRoleHolders, type Holder, type HolderCounts, listRoleHolders } from '../../directory/holders.ts'
import type { ListedPermission } from '../../directory/permissions.ts'
import { getRole, type RolePath, deleteRole as remove } from '../../directory/roles.ts'
import { type Draft, freshDraft, refused, refusedDraft } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable } from '../parts/copy.ts'
import { closedPage, dangerPage } from '../parts/danger.ts'
import { facts } from '../parts/facts.ts'
import { countHolders, holdersTable, unreadable, verb } from '../parts/holders.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { byResourceServer, pickValue, readPermissions } from '../parts/permission-picker.ts'
import { badge } from '../parts/state.ts'
import { table } from '../parts/table.ts'
import { count, time } from '../parts/time.ts'
import { trailFact } from '../parts/trail-links.ts'
import { may, type OrganizationVisit, type Page, type Reply } from '../visit.ts'

/** The role in the path, as the directory names it. */
export function rolePath({ organization, params }: OrganizationVisit): RolePath {
  return { organizationId: organization.id, roleId: params.role as string }
}

/** One role: what it allows, and who has it. */
export async function showRole(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const role = await getRole(services, actor, rolePath(visit))
  const [holders, listing, permissions] = await Promise.all([
    countRoleHolders(services, actor, organization.id, [role.id]),
    listRoleHolders(services, actor, rolePath(visit), pageOf(visit)),
    readPermissions(visit),
  ])
  const counts = holders(role.id)
  const here = `${home}/roles/${role.id}`
  const canChange = may(visit, 'roles:manage') && role.organizationId !== null
  const path = `/organizations/${organization.id}/roles/${role.id}`
  return {
    page: {
      title: role.name,
      content: html`${pageHeader({
        title: role.name,
        purpose: role.description === '' ? 'Nobody has said yet what this role is for.' : role.description,
        action: canChange ? linkButton('Edit', `${here}/edit`, 'plain') : undefined,
        above: { label: 'Roles', to: `${home}/roles` },
      })}
${drawFacts(visit, role, counts)}
${drawPermissions(role, permissions)}
${drawHolders(visit, counts, listing.items, paging(visit, listing.nextCursor))}
${canChange && drawDelete(counts, here)}
${apiDisclosure(services.issuer, [
  { title: 'This role', method: 'GET', path },
  ...(role.organizationId === null
    ? []
    : [
        { title: 'Rename it', method: 'PATCH', path, body: { name: role.name } },
        { title: 'Delete it', method: 'DELETE', path },
      ]),
])}`,
    },
  }
}

export async function askToDeleteRole(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawDeletion(visit, freshDraft()) }
}

/** Deletes a role that nobody has. */
export async function deleteRole(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home, form } = visit
  const { name } = await getRole(services, actor, rolePath(visit))
  try {
    await remove(services, actor, rolePath(visit))
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await drawDeletion(visit, draft), draft)
  }
  return { to: `${home}/roles`, done: `The role ${name} is deleted.` }
}

function drawFacts(visit: OrganizationVisit, role: Role, counts: HolderCounts): Html {
  const { now } = visit
  const isBuiltIn = role.organizationId === null
  return facts([
    [
      'Kind',
      isBuiltIn
        ? html`${badge('off', 'built in')} <span class="muted">The same in every organization. Nobody can change it.</span>`
        : 'of this organization',
    ],
    ['Id', copyable(role.id, { label: 'the id' })],
    ['Held by', countHolders(counts, 'nobody')],
    ['Permissions', count(role.permissions.length, 'permission')],
    ...(isBuiltIn ? [] : [['Changed', time(role.updatedAt, now)] as const, ...trailFact(visit, role.id)]),
  ])
}

function drawPermissions({ permissions }: Role, defined: readonly ListedPermission[]): Html {
  if (permissions.length === 0)
    return section(
      'Permissions',
      html`<p class="muted">None yet. Whoever has this role gets only its name.</p>`,
    )
  const held = new Set(permissions.map(pickValue))
  const listed = defined.filter(({ resourceServerId, name }) =>
    held.has(pickValue({ resourceServerId, permission: name })),
  )
  return section(
    'Permissions',
    byResourceServer(listed).map(
      ([{ resourceServerName, resourceServerIdentifier }, entries]) => html`<div class="server">
  <h3>${resourceServerName} <code>${resourceServerIdentifier}</code></h3>
  ${table({
    label: `Permissions of ${resourceServerName}`,
    isAligned: true,
    columns: [{ title: 'Name' }, { title: 'What it allows' }],
    rows: entries.map(({ name, description }) => [html`<code>${name}</code>`, description]),
  })}
</div>`,
    ),
  )
}

function drawHolders(
  visit: OrganizationVisit,
  counts: HolderCounts,
  items: readonly Holder[],
  pages: Html,
): Html {
  const isNobody = counts.serviceAccounts + counts.administrators === 0
  return section(
    'Who has it',
    html`${
      isNobody
        ? html`<p class="muted">Nobody yet. Give it to a service account or an administrator on the page of that account.</p>`
        : items.length > 0 && holdersTable(visit, 'Who has it', items)
    }
${unreadable(visit, counts)}
${pages}`,
  )
}

function drawDelete(counts: HolderCounts, here: string): Html {
  const isHeld = counts.serviceAccounts + counts.administrators > 0
  return section(
    'Delete',
    isHeld
      ? html`<p class="muted">${inUse(counts)}</p>`
      : html`<div class="button-row">${linkButton('Delete…', `${here}/delete`, 'danger')}</div>`,
    isHeld ? {} : { purpose: 'Nobody has this role, so nobody loses anything by it.' },
  )
}

async function drawDeletion(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, actor, organization, home, formToken } = visit
  const role = await getRole(services, actor, rolePath(visit))
  const counts = (await countRoleHolders(services, actor, organization.id, [role.id]))(role.id)
  const here = `${home}/roles/${role.id}`
  const title = `Delete the role ${role.name}?`
  const back = { label: 'Keep it', to: here }
  const closed =
    role.organizationId === null
      ? 'This role is built in. Every organization has it, and nobody can delete it.'
      : counts.serviceAccounts + counts.administrators > 0
        ? inUse(counts)
        : undefined
  if (closed !== undefined) {
    return {
      title: 'Delete role',
      content: closedPage({
        title: `The role ${role.name} stays`,
        reason: closed,
        back: { ...back, label: 'Back to the role' },
      }),
    }
  }
  return {
    title: 'Delete role',
    content: dangerPage({
      title,
      consequences: [
        '0 accounts have this role: nobody loses a permission.',
        `It names ${count(role.permissions.length, 'permission')}, which stay what they are.`,
        'It cannot be brought back. Its name becomes free; resource servers that go by the name may meet it again.',
      ],
      act: 'Delete role',
      action: `${here}/delete`,
      formToken,
      back,
      draft,
    }),
  }
}

function inUse(counts: HolderCounts): string {
  const words = countHolders(counts, 'nobody')
  return `${words} ${verb(counts, 'has', 'have')} this role. A role that somebody has cannot be deleted: take it from ${verb(counts, 'that account', 'them')} first.`
}
