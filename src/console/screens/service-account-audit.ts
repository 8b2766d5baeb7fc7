import { listAccountEvents, listAuditEvents, TOKEN_ISSUED } from '../../directory/audit-trail.ts'
import { getServiceAccount } from '../../directory/service-account-reach.ts'
import { type Html, html } from '../html.ts'
import { accountHeader } from '../parts/account-header.ts'
import { apiDisclosure } from '../parts/api.ts'
import { auditEvents } from '../parts/audit-events.ts'
import { emptyState } from '../parts/empty.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { readQuery } from '../query.ts'
import type { OrganizationVisit, Reply } from '../visit.ts'
import { accountPath } from './service-account.ts'

/** Tokens are many and alike: they would hide what was changed. The word stands in the address. */
const PARTS = [
  { show: undefined, label: 'Changes and refusals' },
  { show: 'tokens', label: 'Issued tokens' },
] as const

type Shown = (typeof PARTS)[number]['show']

/** What was done to a service account and by it. */
export async function showAccountAudit(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, query } = visit
  const { account } = await getServiceAccount(services.db, actor, accountPath(visit))
  const show: Shown = readQuery(query, 'show') === 'tokens' ? 'tokens' : undefined
  const { items, nextCursor } = await read(visit, show)
  const api = `/organizations/${organization.id}/audit-events`
  return {
    page: {
      title: `Audit of ${account.name}`,
      content: html`${accountHeader(visit, account, 'Audit')}
${drawParts(visit, show)}
${
  items.length === 0
    ? drawEmpty(show)
    : auditEvents(visit, items, { label: `Audit events of ${account.name}`, about: account.id })
}
${paging(visit, nextCursor)}
${apiDisclosure(services.issuer, [
  { title: 'What was done to this account', method: 'GET', path: `${api}?target=${account.id}` },
  { title: 'What it did', method: 'GET', path: `${api}?actor=${account.id}&include_tokens=false` },
  { title: 'Tokens that it got', method: 'GET', path: `${api}?actor=${account.id}&action=${TOKEN_ISSUED}` },
])}`,
    },
  }
}

function read(visit: OrganizationVisit, show: Shown) {
  const { services, actor, organization } = visit
  if (show === undefined) return listAccountEvents(services, actor, accountPath(visit), pageOf(visit))
  const tokens = {
    actorId: visit.params.acc,
    targetId: undefined,
    action: TOKEN_ISSUED,
    requestId: undefined,
    subject: undefined,
    from: undefined,
    to: undefined,
    includeTokens: true,
  }
  return listAuditEvents(services, actor, organization.id, tokens, pageOf(visit))
}

function drawParts({ path }: OrganizationVisit, show: Shown): Html {
  return html`<div class="filters"><nav aria-label="Part of the trail"><ul class="chips">${PARTS.map(
    ({ show: word, label }) =>
      html`<li><a href="${word === undefined ? path : `${path}?show=${word}`}"${word === show && html` aria-current="true"`}>${label}</a></li>`,
  )}</ul></nav></div>`
}

/** An account has at least the event that made it, unless that is older than what is kept. */
function drawEmpty(show: Shown): Html {
  return show === 'tokens'
    ? emptyState({
        title: 'No tokens yet',
        text: 'Each token that this account gets leaves a line here, with its key, its scope and the address that it was got from, for as long as records of tokens are kept.',
      })
    : emptyState({
        title: 'Nothing happened lately',
        text: 'Changes to this account and its keys stand here, and what was refused to it, for as long as the trail is kept.',
      })
}
