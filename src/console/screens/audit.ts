import {
  exportAuditEvents,
  findChainHead,
  listAuditEvents,
  presentEntry,
  TOKEN_ISSUED,
  type TrailEntry,
  type TrailFilter,
} from '../../directory/audit-trail.ts'
import { isId } from '../../ids.ts'
import { type Draft, freshDraft } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { ACTIONS, auditEvents } from '../parts/audit-events.ts'
import { codeBlock, copyable } from '../parts/copy.ts'
import { emptyState } from '../parts/empty.ts'
import { facts } from '../parts/facts.ts'
import { faultSummary, selectField, textField } from '../parts/form.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { readQuery } from '../query.ts'
import type { OrganizationVisit, Reply } from '../visit.ts'

const DAY_MILLISECONDS = 86_400_000

/** Tokens are many and alike: they would hide the rest. The word stands in the address. */
const PARTS = [
  { show: undefined, label: 'Changes and refusals' },
  { show: 'tokens', label: 'Issued tokens' },
  { show: 'all', label: 'Everything' },
] as const
const FILTERS = ['from', 'to', 'action', 'actor', 'target', 'request', 'subject'] as const

type Shown = (typeof PARTS)[number]['show']
type Looking = { show: Shown; draft: Draft; filter: TrailFilter; isNarrowed: boolean }

/** The trail of an organization: who did what to what, from where and when. */
export async function showAudit(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, path } = visit
  const looking = readLooking(visit)
  const hasFaults = looking.draft.faults.length > 0
  const { items, nextCursor } = hasFaults
    ? { items: [], nextCursor: null }
    : await listAuditEvents(services, actor, organization.id, looking.filter, pageOf(visit))
  const file = `${path}/export${queryOf(looking)}`
  return {
    ...(hasFaults && { status: 422 }),
    page: {
      title: 'Audit trail',
      content: html`${pageHeader({
        title: 'Audit trail',
        purpose: 'Who did what to what, from where and when, the newest first.',
        action: hasFaults ? undefined : linkButton('Export', file, 'plain'),
      })}
${faultSummary(looking.draft)}
${drawParts(visit, looking)}
${drawFilters(visit, looking)}
${!hasFaults && drawItems(visit, looking, items)}
${paging(visit, nextCursor)}
${await drawChain(visit)}
${apiDisclosure(services.issuer, [
  { title: 'These events', method: 'GET', path: apiPath(organization.id, looking) },
])}`,
    },
  }
}

/** All that the filter lets through, one event a line, as the API exports it. */
export async function exportAudit(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, now } = visit
  const looking = readLooking(visit)
  if (looking.draft.faults.length > 0) return showAudit(visit)
  const batches = await exportAuditEvents(services, actor, organization.id, looking.filter)
  const day = new Date(now).toISOString().slice(0, 10)
  return { file: { name: `${organization.slug}-audit-${day}.ndjson`, batches: present(batches) } }
}

async function* present(batches: AsyncIterable<TrailEntry[]>): AsyncGenerator<unknown[]> {
  for await (const entries of batches) yield entries.map(presentEntry)
}

/** A day that is none is told, not left out: who looks for something must not see more than they think. */
function readLooking({ query }: OrganizationVisit): Looking {
  const word = readQuery(query, 'show')
  const show = PARTS.find((part) => part.show === word)?.show
  const values = Object.fromEntries(FILTERS.map((name) => [name, readQuery(query, name) ?? '']))
  const given = (name: (typeof FILTERS)[number]) => values[name] || undefined
  const [from, to] = [readDay(given('from')), readDay(given('to'))]
  const faults = (['from', 'to'] as const)
    .filter((name) => Number.isNaN({ from, to }[name]))
    .map((field) => ({ field, text: 'This is not a day, such as 2027-01-31.' }))
  return {
    show,
    draft: { ...freshDraft(values), faults },
    filter: {
      actorId: given('actor'),
      targetId: given('target'),
      action: given('action') ?? (show === 'tokens' ? TOKEN_ISSUED : undefined),
      requestId: given('request'),
      subject: given('subject'),
      from: from === undefined ? undefined : new Date(from),
      // The day that was given is in it.
      to: to === undefined ? undefined : new Date(to + DAY_MILLISECONDS),
      includeTokens:
        show !== undefined || given('subject') !== undefined || isId('req', given('request') ?? ''),
    },
    isNarrowed: FILTERS.some((name) => values[name] !== ''),
  }
}

/** Milliseconds of its beginning in UTC; NaN for what is no day. */
function readDay(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  // Some calendars have a 31st of April; ours has not.
  return Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== text ? Number.NaN : time
}

function queryOf({ show, draft }: Looking, changes: { show?: Shown } = {}): string {
  const shown = 'show' in changes ? changes.show : show
  const query = new URLSearchParams({
    ...(shown !== undefined && { show: shown }),
    ...Object.fromEntries(
      FILTERS.map((name) => [name, draft.value(name)]).filter(([, value]) => value !== ''),
    ),
  })
  return query.size === 0 ? '' : `?${query}`
}

/** The same question to the API. */
function apiPath(organizationId: string, { filter }: Looking): string {
  const { actorId, targetId, action, requestId, subject, from, to, includeTokens } = filter
  const query = new URLSearchParams({
    ...(actorId && { actor: actorId }),
    ...(targetId && { target: targetId }),
    ...(action && { action }),
    ...(requestId && { request_id: requestId }),
    ...(subject && { subject }),
    ...(from && isTime(from) && { from: from.toISOString() }),
    ...(to && isTime(to) && { to: to.toISOString() }),
    ...(!includeTokens && { include_tokens: 'false' }),
  })
  return `/organizations/${organizationId}/audit-events${query.size === 0 ? '' : `?${query}`}`
}

function isTime(date: Date): boolean {
  return !Number.isNaN(date.getTime())
}

function drawParts({ path }: OrganizationVisit, looking: Looking): Html {
  return html`<div class="filters"><nav aria-label="Part of the trail"><ul class="chips">${PARTS.map(
    ({ show, label }) =>
      html`<li><a href="${path}${queryOf(looking, { show })}"${show === looking.show && html` aria-current="true"`}>${label}</a></li>`,
  )}</ul></nav></div>`
}

function drawFilters({ path }: OrganizationVisit, { show, draft, isNarrowed }: Looking): Html {
  const optional = { isOptional: true } as const
  const id = { ...optional, isMono: true } as const
  return html`<details class="more narrow"${isNarrowed && html` open`}>
  <summary>${isNarrowed ? 'Narrowed down' : 'Narrow down'}</summary>
  <form class="narrowing" method="get" action="${path}" novalidate>
    ${show !== undefined && html`<input type="hidden" name="show" value="${show}">`}
    ${textField(draft, { ...optional, name: 'from', label: 'From', type: 'date' })}
    ${textField(draft, { ...optional, name: 'to', label: 'To', type: 'date' })}
    ${selectField(draft, {
      ...optional,
      name: 'action',
      label: 'Action',
      options: [{ value: '', label: 'Any' }, ...ACTIONS.map((value) => ({ value, label: value }))],
    })}
    ${textField(draft, { ...id, name: 'actor', label: 'Done by', help: 'An account’s id.' })}
    ${textField(draft, { ...id, name: 'target', label: 'Done to', help: 'The id of anything.' })}
    ${textField(draft, { ...id, name: 'request', label: 'Request', help: html`The id in <code>X-Request-Id</code>.` })}
    ${
      (show !== undefined || draft.value('subject') !== '') &&
      textField(draft, {
        ...optional,
        name: 'subject',
        label: 'On behalf of',
        help: 'The end user for whom an account acted.',
      })
    }
    <div class="actions"><button class="button primary" type="submit">Show</button>${isNarrowed && html`<a class="button plain" href="${path}${show === undefined ? '' : `?show=${show}`}">Show all</a>`}</div>
  </form>
</details>`
}

function drawItems(visit: OrganizationVisit, looking: Looking, items: readonly TrailEntry[]): Html {
  if (items.length > 0) return auditEvents(visit, items, { label: 'Audit events' })
  if (looking.isNarrowed || visit.query.has('cursor')) return html`<p class="nothing">No event fits.</p>`
  return looking.show === 'tokens'
    ? emptyState({
        title: 'No tokens yet',
        text: 'Each token that an account of this organization gets leaves a line here: through which key, for what, from where.',
      })
    : emptyState({
        title: 'Nothing happened lately',
        text: 'Every change leaves a line here, and so do sign-ins and what was refused to your accounts.',
      })
}

/** To look at the whole chain takes as long as it is: that is for the command line. */
async function drawChain({ services, actor, organization }: OrganizationVisit): Promise<Html> {
  const head = await findChainHead(services, actor, organization.id)
  return section(
    'Tampering shows',
    html`${
      head === undefined
        ? html`<p>It is not known any more which event is the newest: somebody has written to the database.</p>`
        : facts([
            ['Events so far', String(head.sequence)],
            [
              'Hash of the newest',
              copyable(head.hash.toString('hex'), {
                label: 'the hash',
                shown: `${head.hash.toString('hex').slice(0, 16)}…`,
              }),
            ],
          ])
    }
${codeBlock(`npx countersign audit verify --organization ${organization.slug}`, 'the command')}`,
    {
      purpose:
        'Each event bears the hash of the one before. Keep the newest somewhere else; this recomputes all of them, on the server’s machine.',
    },
  )
}
