import type { Administrator } from '../../database/queries/administrators.ts'
import { getAdministrator as read } from '../../directory/administrator-reach.ts'
import { countSessions } from '../../directory/administrator-sessions.ts'
import type { AdministratorPatch } from '../../directory/administrators.ts'
import { isLastOwner } from '../../directory/ownership.ts'
import { nameRoles } from '../../directory/roles.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable } from '../parts/copy.ts'
import { commaSeparated, roleLink } from '../parts/effective-permissions.ts'
import { endings, endingsTitle } from '../parts/endings.ts'
import { facts } from '../parts/facts.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { badge, badges } from '../parts/state.ts'
import { tabs } from '../parts/tabs.ts'
import { count, time } from '../parts/time.ts'
import { trailFact } from '../parts/trail-links.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'
import { describeSignIn, drawAdministratorState, drawSecondFactor, isSelf } from './administrators.ts'

/** The administrator in the path, as the directory names them. */
export function administratorPath({ organization, params }: OrganizationVisit) {
  return { organizationId: organization.id, accountId: params.adm as string }
}

/** The administrator in the path. Throws Refusal `resource_not_found`. */
export async function readAdministrator(visit: OrganizationVisit): Promise<Administrator> {
  return (await read(visit.services.db, visit.actor, administratorPath(visit))).administrator
}

/** A change that leaves everything as it is; a screen says what shall differ. */
export const NO_CHANGE: AdministratorPatch = {
  name: undefined,
  status: undefined,
  access: {
    permissions: undefined,
    roleIds: undefined,
    groupAccess: undefined,
    groupsAdministrator: undefined,
  },
}

/** Said wherever the last owner would be lost. */
export const LAST_OWNER =
  'This is the organization’s last owner, and an organization keeps one: somebody must be left who can set everything else right. Make another account an owner first. Then this one can be disabled, removed, or lose the role.'

const PAGES = [
  { label: 'Overview', path: '' },
  { label: 'Access', path: '/access' },
  { label: 'Sessions', path: '/sessions' },
] as const

/** What every page of an administrator begins with: whose page it is, and the way to the others. */
export function administratorHeader(
  visit: OrganizationVisit,
  administrator: Administrator,
  current: (typeof PAGES)[number]['label'],
  action?: Html,
): Html {
  const { id, name, email } = administrator
  const here = `${visit.home}/administrators/${id}`
  return html`${pageHeader({
    title: name,
    purpose: isSelf(visit, administrator) ? html`${email} ${badge('off', 'you')}` : email,
    action,
    above: { label: 'Administrators', to: `${visit.home}/administrators` },
  })}
${tabs(
  name,
  PAGES.map(({ label, path }) => ({ label, to: `${here}${path}`, isCurrent: label === current })),
)}`
}

/** One administrator: how they sign in, how they stand, and what can be done with that. */
export async function showAdministrator(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const administrator = await readAdministrator(visit)
  const [isLast, sessions, roleNames] = await Promise.all([
    isLastOwner(services.db, organization, administrator.id),
    countSessions(services, actor, administratorPath(visit)),
    nameRoles(services, [administrator]),
  ])
  const here = `${home}/administrators/${administrator.id}`
  const canManage = may(visit, 'administrators:manage')
  const path = `/organizations/${organization.id}/administrators/${administrator.id}`
  return {
    page: {
      title: administrator.name,
      content: html`${administratorHeader(
        visit,
        administrator,
        'Overview',
        canManage ? linkButton('Edit', `${here}/edit`, 'plain') : undefined,
      )}
${drawFacts(visit, administrator, { isLast, sessions, roleNames, here })}
${canManage && drawSignIn(visit, administrator, here)}
${canManage && drawEnd(visit, administrator, { isLast, here })}
${apiDisclosure(services.issuer, [
  { title: 'This administrator', method: 'GET', path },
  { title: 'Reset the sign-in', method: 'POST', path: `${path}/invitation`, body: {} },
  { title: 'Disable them', method: 'PATCH', path, body: { status: 'disabled' } },
  { title: 'Remove them', method: 'DELETE', path },
])}`,
    },
  }
}

function drawFacts(
  visit: OrganizationVisit,
  administrator: Administrator,
  more: { isLast: boolean; sessions: number; roleNames: ReadonlyMap<string, string>; here: string },
): Html {
  const { now } = visit
  const { isLast, sessions, roleNames, here } = more
  const roles = administrator.roleIds.map((id) => roleLink(visit, { id, name: roleNames.get(id) ?? id }))
  return facts([
    [
      'State',
      badges([
        drawAdministratorState(administrator, now),
        ...(isLast ? [badge('notice', 'last owner')] : []),
      ]),
    ],
    ['Id', copyable(administrator.id, { label: 'the id' })],
    ['Roles', roles.length === 0 ? html`<span class="muted">none</span>` : commaSeparated(roles)],
    ['Signs in by', describeSignIn(administrator)],
    ['Second factor', drawSecondFactor(administrator)],
    ['Last sign-in', time(administrator.lastSignInAt, now)],
    [
      'Signed in now',
      sessions === 0
        ? html`<span class="muted">nowhere</span>`
        : html`<a href="${here}/sessions">${count(sessions, 'session')}</a>`,
    ],
    ...(administrator.invitationExpiresAt === null
      ? []
      : ([['Link good until', time(administrator.invitationExpiresAt, now)]] as const)),
    ['Created', time(administrator.createdAt, now)],
    ...trailFact(visit, administrator.id, { isPerson: true }),
  ])
}

/** Invites once more, or resets: both are a new link. */
function drawSignIn(visit: OrganizationVisit, administrator: Administrator, here: string): Html {
  if (isSelf(visit, administrator)) {
    return section(
      'Signing in',
      html`<div class="button-row">${linkButton('Your security', `${visit.root}/security`, 'plain')}</div>`,
      { purpose: 'This is you: you change your password and second factor yourself.' },
    )
  }
  if (administrator.status === 'disabled') {
    return section('Signing in', html`<p class="muted">A new link can be made once they are enabled.</p>`)
  }
  const isInvited = administrator.status === 'invited'
  return section(
    'Signing in',
    html`<div class="button-row">${linkButton(isInvited ? 'New invitation link…' : 'Reset sign-in…', `${here}/reset`, 'plain')}</div>`,
    {
      purpose: isInvited
        ? 'For who has lost the link, or has let it expire.'
        : 'For who has forgotten the password or lost the second factor: a link by which they choose a new password.',
    },
  )
}

function drawEnd(
  visit: OrganizationVisit,
  administrator: Administrator,
  { isLast, here }: { isLast: boolean; here: string },
): Html {
  const forGood = 'Remove'
  if (isLast) return section(endingsTitle(forGood), html`<p class="muted">${LAST_OWNER}</p>`)
  return endings(visit, {
    here,
    forGood,
    isDisabled: administrator.status === 'disabled',
    purpose: isSelf(visit, administrator)
      ? 'This is you: you would be signed out at once, and could not undo it yourself.'
      : 'Disabling can be undone. Removing cannot; the audit trail keeps what they did.',
  })
}
