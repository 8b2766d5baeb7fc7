import type { Administrator } from '../../database/queries/administrators.ts'
import { listAdministrators as list } from '../../directory/administrators.ts'
import { nameRoles } from '../../directory/roles.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { emptyState } from '../parts/empty.ts'
import { linkButton, pageHeader } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { badge } from '../parts/state.ts'
import { table } from '../parts/table.ts'
import { count, time } from '../parts/time.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'

/** The people who administer an organization: how each signs in, and what they are. */
export async function listAdministrators(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const { items, nextCursor } = await list(services, actor, organization.id, pageOf(visit))
  const names = await nameRoles(services, items)
  const canManage = may(visit, 'administrators:manage')
  const path = `/organizations/${organization.id}/administrators`
  const invite = { method: 'POST', path, body: { name: 'Grace Hopper', email: 'grace@acme.example' } }
  return {
    page: {
      title: 'Administrators',
      content: html`${pageHeader({
        title: 'Administrators',
        purpose: 'The people who sign in here. They get access as service accounts do, and never have keys.',
        action:
          canManage && items.length > 0
            ? linkButton('Invite administrator', `${home}/administrators/new`)
            : undefined,
      })}
${
  items.length > 0
    ? drawTable(visit, items, names)
    : // Whoever looks may be of the platform: then nobody of the organization itself need be here.
      emptyState({
        title: 'Nobody administers this organization yet',
        text: 'Invite the first person, and make them an owner: they can do the rest.',
        action: canManage ? linkButton('Invite administrator', `${home}/administrators/new`) : undefined,
        api: canManage ? { issuer: services.issuer, request: invite } : undefined,
      })
}
${paging(visit, nextCursor)}
${apiDisclosure(services.issuer, [
  { title: 'This list', method: 'GET', path },
  { title: 'Invite somebody', ...invite },
])}`,
    },
  }
}

/** How somebody stands, in a word. `now` in milliseconds. */
export function drawAdministratorState(
  { status, invitationExpiresAt, hasPassword, isLinked }: Administrator,
  now: number,
): Html {
  const hasLink = invitationExpiresAt !== null && invitationExpiresAt.getTime() > now
  switch (status) {
    case 'invited':
      return hasLink ? badge('notice', 'invited') : badge('notice', 'invitation expired')
    case 'active':
      return hasPassword || isLinked ? badge('good', 'active') : badge('notice', 'must choose a password')
    case 'disabled':
    case 'deleted':
      return badge('off', status)
  }
}

/** What somebody proves to be themselves by. */
export function describeSignIn({ hasPassword, isLinked }: Administrator): string {
  if (hasPassword) return isLinked ? 'Password or single sign-on' : 'Password'
  return isLinked ? 'Single sign-on' : 'Not yet'
}

/** The second factor, which belongs to a password. */
export function drawSecondFactor({ hasSecondFactor, hasPassword, isLinked }: Administrator): Html {
  if (hasSecondFactor) return badge('good', 'on')
  if (hasPassword) return badge('notice', 'off')
  return html`<span class="muted">${isLinked ? 'the provider’s' : 'not yet'}</span>`
}

/** Whether this is the person who looks. */
export function isSelf({ actor }: Pick<OrganizationVisit, 'actor'>, { id }: { id: string }): boolean {
  return actor.accountId === id
}

function drawTable(
  visit: OrganizationVisit,
  items: readonly Administrator[],
  names: ReadonlyMap<string, string>,
): Html {
  return table({
    label: 'Administrators',
    columns: [
      { title: 'Name' },
      { title: 'Address' },
      { title: 'Roles' },
      { title: 'Signs in by' },
      { title: 'Second factor' },
      { title: 'Last sign-in' },
      { title: 'State' },
    ],
    rows: items.map((administrator) => [
      html`<a href="${visit.path}/${administrator.id}">${administrator.name}</a>${isSelf(visit, administrator) && html` <span class="muted">you</span>`}`,
      html`<span class="clip address" title="${administrator.email}">${administrator.email}</span>`,
      drawRoles(administrator, names),
      describeSignIn(administrator),
      drawSecondFactor(administrator),
      time(administrator.lastSignInAt, visit.now),
      drawAdministratorState(administrator, visit.now),
    ]),
  })
}

function drawRoles({ roleIds, permissions }: Administrator, names: ReadonlyMap<string, string>): Html {
  const words = roleIds.flatMap((id) => names.get(id) ?? [])
  if (words.length > 0) return html`<span class="clip roles">${words.join(', ')}</span>`
  return html`<span class="muted">${permissions.length === 0 ? 'none' : count(permissions.length, 'permission')}</span>`
}
