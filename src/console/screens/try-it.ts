import type { Explanation } from '../../assertion/explanation.ts'
import { listAuditEvents, type TrailEntry } from '../../directory/audit-trail.ts'
import { isId } from '../../ids.ts'
import { choice, type Draft, freshDraft, line, lines, readForm, refused } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { drawExplanation } from '../parts/explanation.ts'
import { actions, faultSummary, form, optionList, submit, textArea, textField } from '../parts/form.ts'
import { pageHeader, section } from '../parts/page-header.ts'
import { time } from '../parts/time.ts'
import { readQuery } from '../query.ts'
import { describeReason } from '../reason-words.ts'
import { may, type OrganizationVisit, type Page, type Reply } from '../visit.ts'

/** Events that one request has left; an integration's request leaves one. */
const MAX_EVENTS = 20
/** Longer ones are refused by their size already, which is worth showing. */
const MAX_PASTED = 65_536

const FIELDS = {
  assertion: lines({ max: MAX_PASTED, required: 'Paste an assertion: three parts with dots between.' }),
  kind: choice(['typ', 'grant', 'client'], 'Choose one of these.'),
  scope: line({ max: 2_000 }),
  resource: line({ max: 500 }),
}

/** Asks for an assertion, or for the id of a request that was refused. */
export async function showTryIt(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, freshDraft({ kind: 'typ' }), undefined) }
}

/**
 * Explains an assertion. As it was pasted it stands in no answer, log or record: one that holds is worth a token until
 * it is used. What it says is shown; without its signature that is worth nothing.
 */
export async function explainAssertion(visit: OrganizationVisit): Promise<Reply> {
  const { services, organization, form: given } = visit
  const read = readForm(given, FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft, undefined), read.draft)
  const { assertion, kind, scope, resource } = read.values
  const explanation = await services.explain({
    organizationId: organization.id,
    kind: kind === 'typ' ? undefined : kind,
    assertion,
    scope: scope === '' ? undefined : scope,
    resource: resource === '' ? undefined : resource,
  })
  return { page: await draw(visit, freshDraft({ kind, scope, resource }), explanation) }
}

async function draw(
  visit: OrganizationVisit,
  draft: Draft,
  explanation: Explanation | undefined,
): Promise<Page> {
  const { services, organization, home } = visit
  const requestId = readRequestId(visit)
  return {
    title: 'Try it',
    content: html`${pageHeader({
      title: 'Try it',
      purpose:
        'See why the token endpoint takes or refuses an assertion: each of its checks, with what came and what it expects.',
    })}
${faultSummary(draft)}
${explanation && drawExplanation(explanation, { home })}
${section(explanation ? 'Another assertion' : 'An assertion', drawForm(visit, draft), {
  purpose:
    'No token is issued, the assertion is not used up, and nothing that you paste is stored or logged.',
})}
${may(visit, 'audit:read') && section('A request that was refused', html`${drawSearch(visit, requestId)}${requestId !== undefined && (await drawRequest(visit, requestId))}`, { purpose: html`Every answer bears an id in <code>X-Request-Id</code>. The caller hears little of a refusal; here is its reason.` })}
${apiDisclosure(services.issuer, [
  {
    title: 'What became of a request',
    method: 'GET',
    path: `/organizations/${organization.id}/audit-events?request_id=${requestId ?? 'req_…'}`,
  },
])}`,
  }
}

function drawForm({ path, formToken }: OrganizationVisit, draft: Draft): Html {
  const pasted: Draft = { ...draft, value: (name) => (name === 'assertion' ? '' : draft.value(name)) }
  return form({
    action: path,
    formToken,
    content: html`${textArea(pasted, {
      name: 'assertion',
      label: 'Assertion',
      rows: 7,
      isMono: true,
      help: 'As it was sent. One of an account of this organization: others are not known here.',
    })}
${optionList(draft, {
  name: 'kind',
  label: 'Sent as',
  kind: 'radio',
  options: [
    { value: 'typ', label: 'What its typ says', help: 'A grant, if it says nothing of the kind.' },
    {
      value: 'grant',
      label: 'Authorization grant',
      help: html`<code>assertion</code> of <code>jwt-bearer</code>`,
    },
    {
      value: 'client',
      label: 'Client assertion',
      help: html`<code>client_assertion</code> of <code>client_credentials</code>`,
    },
  ],
})}
<details class="more"${(draft.value('scope') !== '' || draft.value('resource') !== '') && html` open`}>
  <summary>The request has a scope or a resource?</summary>
  ${textField(draft, { name: 'scope', label: 'scope', isOptional: true, isMono: true })}
  ${textField(draft, { name: 'resource', label: 'resource', isOptional: true, isMono: true })}
</details>
${actions(submit('Explain'))}`,
  })
}

function drawSearch({ path }: OrganizationVisit, requestId: string | undefined): Html {
  return html`<form class="search" method="get" action="${path}" role="search">
  <label class="hidden" for="request">Request id</label>
  <input id="request" name="request" type="search" class="mono" value="${requestId ?? ''}" placeholder="req_…" maxlength="64" spellcheck="false">
  <button class="button plain" type="submit">Find</button>
</form>`
}

function readRequestId({ query }: OrganizationVisit): string | undefined {
  return readQuery(query, 'request')
}

/** What the trail of this organization has of a request; nothing of another one's, as if there was none. */
async function drawRequest(
  { services, actor, organization, now, home }: OrganizationVisit,
  requestId: string,
): Promise<Html> {
  const { items } = await listAuditEvents(
    services,
    actor,
    organization.id,
    {
      ...{ actorId: undefined, targetId: undefined, action: undefined, subject: undefined },
      ...{ from: undefined, to: undefined },
      requestId,
      // Those of our own ids are found by the time in them; others would have to be looked for among all tokens.
      includeTokens: isId('req', requestId),
    },
    { limit: MAX_EVENTS, cursor: undefined },
  )
  if (items.length === 0) {
    return html`<p class="nothing">Nothing here is known of this request. It may be another organization’s, or have named no account of yours; of an account’s refusals, the trail keeps ten a minute one by one. The server’s log has all.</p>`
  }
  return html`${items.map((item) => drawEntry(item, now, home))}<p><a href="${home}/audit?${new URLSearchParams({ request: requestId }).toString()}">Its events in the audit trail</a></p>`
}

function drawEntry(entry: TrailEntry, now: number, home: string): Html {
  const { action, reason, targetName, targetId, targetKind, at, ip, userAgent } = entry
  const isAccount = targetKind === 'service_account'
  return html`<div class="verdict ${reason === null ? 'good' : 'bad'}">
  <h3>${reason === null ? html`<code>${action}</code>` : html`Refused: <code>${reason}</code>`}</h3>
  ${reason !== null && html`<p>${describeReason(reason)}</p>`}
  <p class="muted">${isAccount ? html`<a href="${home}/service-accounts/${targetId}">${targetName}</a>, ` : targetId !== null && html`<code>${targetId}</code>, `}${time(at, now)}${ip !== null && ` from ${ip}`}${userAgent !== null && html`, <span class="clip">${userAgent}</span>`}</p>
</div>`
}
