import { findCredentials } from '../../database/queries/credentials.ts'
import * as directory from '../../directory/administrator-sessions.ts'
import { type Html, html } from '../html.ts'
import { facts } from '../parts/facts.ts'
import { form, submit } from '../parts/form.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { sessionsTable } from '../parts/sessions.ts'
import { badge } from '../parts/state.ts'
import { count, time } from '../parts/time.ts'
import type { Reply, SessionVisit } from '../visit.ts'

/** Below this number somebody should make new ones. */
const FEW_CODES = 3

/** How somebody signs in, and where they are signed in now. */
export async function showSecurity(visit: SessionVisit): Promise<Reply> {
  const { services, root, actor, session } = visit
  const { items, nextCursor } = await directory.listSessions(services, actor, ownPath(visit), pageOf(visit))
  return {
    page: {
      title: 'Your security',
      content: html`${pageHeader({
        title: 'Your security',
        purpose: html`How you sign in as <b>${session.record.accountEmail}</b>, and where you are signed in now.`,
      })}
${await drawCredentials(visit)}
${section(
  'Sessions',
  html`${sessionsTable(visit, items, (id) => (id === session.record.id ? undefined : `${root}/security/sessions/${id}/end`))}
${paging(visit, nextCursor)}
${items.length > 1 && drawEndOthers(visit)}`,
  { purpose: 'A session ends an hour after its last use, and twelve hours after it began.' },
)}`,
    },
  }
}

export async function endSession(visit: SessionVisit): Promise<Reply> {
  const { services, root, actor, params, session } = visit
  const id = params.ses as string
  await directory.endSession(services, actor, ownPath(visit), id)
  if (id === session.record.id) return { to: `${root}/sign-in`, session: null, done: 'You are signed out.' }
  return { to: `${root}/security`, done: 'The session has ended.' }
}

export async function endOtherSessions(visit: SessionVisit): Promise<Reply> {
  const { services, root, actor, session } = visit
  const except = session.record.id
  const ended = await directory.endAllSessions(services, actor, ownPath(visit), { except })
  return { to: `${root}/security`, done: `${count(ended, 'other session')} ended.` }
}

/** Their own account, as the directory names it. */
function ownPath({ session }: SessionVisit): { organizationId: string; accountId: string } {
  const { organizationId, accountId } = session.record
  return { organizationId, accountId }
}

async function drawCredentials({ services, root, session, now }: SessionVisit): Promise<Html> {
  const credentials = await findCredentials(services.db, session.record.accountId)
  if (credentials?.passwordHash == null) {
    return section(
      'Signing in',
      html`<p>You sign in by your organization’s identity provider, which also looks after second factors.</p>`,
    )
  }
  const { totpConfirmedAt, recoveryCodesLeft } = credentials
  const hasSecondFactor = totpConfirmedAt !== null
  return html`${section(
    'Password',
    html`<p>${linkButton('Change password', `${root}/security/password`, 'plain')}</p>`,
  )}
${section(
  'Second factor',
  html`${facts([
    [
      'Authenticator',
      hasSecondFactor
        ? html`${badge('good', 'on')} <span class="muted">set up ${time(totpConfirmedAt, now)}</span>`
        : badge('notice', 'off'),
    ],
    ...(hasSecondFactor
      ? ([
          [
            'Recovery codes',
            html`${count(recoveryCodesLeft, 'code')} left ${recoveryCodesLeft < FEW_CODES && badge('notice', 'make new ones')}`,
          ],
        ] as const)
      : []),
  ])}
<p class="button-row">${
    hasSecondFactor
      ? html`${linkButton('New recovery codes', `${root}/security/recovery-codes`, 'plain')}${linkButton('Remove second factor', `${root}/security/second-factor/remove`, 'plain')}`
      : linkButton('Set up second factor', `${root}/security/second-factor`, 'primary')
  }</p>`,
  { purpose: 'A code from an authenticator application, besides your password.' },
)}`
}

function drawEndOthers({ root, formToken }: SessionVisit): Html {
  return form({
    action: `${root}/security/sessions/end-others`,
    formToken,
    isInline: true,
    content: submit('End all other sessions', 'plain'),
  })
}
