import * as directory from '../../directory/administrator-sessions.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { form, submit } from '../parts/form.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { sessionsTable } from '../parts/sessions.ts'
import { count } from '../parts/time.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'
import { administratorHeader, administratorPath, readAdministrator } from './administrator.ts'
import { isSelf } from './administrators.ts'

/** Where an administrator is signed in now. */
export async function showAdministratorSessions(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const administrator = await readAdministrator(visit)
  const { items, nextCursor } = await directory.listSessions(
    services,
    actor,
    administratorPath(visit),
    pageOf(visit),
  )
  const here = `${home}/administrators/${administrator.id}/sessions`
  const canManage = may(visit, 'administrators:manage')
  const path = `/organizations/${organization.id}/administrators/${administrator.id}/sessions`
  return {
    page: {
      title: `Sessions of ${administrator.name}`,
      content: html`${administratorHeader(
        visit,
        administrator,
        'Sessions',
        canManage && items.length > 0 ? drawEndAll(visit, here) : undefined,
      )}
${
  items.length === 0
    ? html`<p class="nothing">${administrator.name} is signed in nowhere.</p>`
    : sessionsTable(visit, items, (id) => (canManage ? `${here}/${id}/end` : undefined))
}
${paging(visit, nextCursor)}
${apiDisclosure(services.issuer, [
  { title: 'These sessions', method: 'GET', path },
  { title: 'End all of them', method: 'DELETE', path },
])}`,
    },
  }
}

export async function endAdministratorSession(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, root, params, session } = visit
  const id = params.ses as string
  const administrator = await readAdministrator(visit)
  await directory.endSession(services, actor, administratorPath(visit), id)
  if (id === session.record.id) return { to: `${root}/sign-in`, session: null, done: 'You are signed out.' }
  return { to: pathOf(visit, administrator.id), done: 'The session has ended.' }
}

export async function endAdministratorSessions(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, root } = visit
  const administrator = await readAdministrator(visit)
  const ended = await directory.endAllSessions(services, actor, administratorPath(visit))
  if (isSelf(visit, administrator)) {
    return { to: `${root}/sign-in`, session: null, done: 'You are signed out everywhere.' }
  }
  return { to: pathOf(visit, administrator.id), done: `${count(ended, 'session')} ended.` }
}

function pathOf({ home }: OrganizationVisit, id: string): string {
  return `${home}/administrators/${id}/sessions`
}

function drawEndAll({ formToken }: OrganizationVisit, here: string): Html {
  return form({
    action: `${here}/end`,
    formToken,
    isInline: true,
    content: submit('End all sessions', 'plain'),
  })
}
