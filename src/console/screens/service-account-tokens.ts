import type { LiveToken } from '../../database/queries/grant-records.ts'
import type { Confirmation } from '../../database/tables.ts'
import {
  revokeAllTokens as endAll,
  revokeToken as endOne,
  getLiveToken,
  listTokens as list,
} from '../../directory/issued-tokens.ts'
import { getLiveTokenCount } from '../../directory/service-account-health.ts'
import { getServiceAccount } from '../../directory/service-account-reach.ts'
import { type Html, html } from '../html.ts'
import { accountHeader } from '../parts/account-header.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable, shorten } from '../parts/copy.ts'
import { closedPage, dangerPage } from '../parts/danger.ts'
import { emptyState } from '../parts/empty.ts'
import { liveTokensOn, tokensFrom } from '../parts/live-tokens.ts'
import { linkButton } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { badge } from '../parts/state.ts'
import { table } from '../parts/table.ts'
import { relativeTime, time } from '../parts/time.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'
import { accountPath } from './service-account.ts'

/** The tokens of a service account that are good now. */
export async function listTokens(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const path = accountPath(visit)
  const [{ account }, listing] = await Promise.all([
    getServiceAccount(services.db, actor, path),
    list(services, actor, path, pageOf(visit)),
  ])
  const { items, nextCursor } = listing
  const here = `${home}/service-accounts/${account.id}`
  const canRevoke = may(visit, 'service_accounts:manage') && items.length > 0
  const api = `/organizations/${organization.id}/service-accounts/${account.id}/tokens`
  return {
    page: {
      title: `Tokens of ${account.name}`,
      content: html`${accountHeader(visit, account, 'Tokens', canRevoke ? linkButton('Revoke all…', `${here}/tokens/revoke`, 'danger') : undefined)}
${
  items.length === 0
    ? drawEmpty(here)
    : html`${!visit.query.has('cursor') && html`<p class="lead">It has ${liveTokensOn(listing)}.</p>`}
${drawTable(visit, items, here)}`
}
${paging(visit, nextCursor)}
${apiDisclosure(services.issuer, [
  { title: 'These tokens', method: 'GET', path: api },
  { title: 'Revoke one', method: 'DELETE', path: `${api}/${items[0]?.id ?? 'tok_…'}` },
  { title: 'Revoke all', method: 'DELETE', path: api },
])}`,
    },
  }
}

export async function askToRevokeToken(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, params, formToken, now } = visit
  const token = await getLiveToken(services, actor, accountPath(visit), params.tok as string)
  const back = { label: 'Keep it', to: tokensOf(visit) }
  if (token === undefined) {
    return {
      page: {
        title: 'Revoke token',
        content: closedPage({
          title: 'This token is over already',
          reason: 'It has expired, or it was revoked. No resource server takes it any more.',
          back: { ...back, label: 'Back to the tokens' },
        }),
      },
    }
  }
  const { id, keyName, scope, clientIp, resourceServerName, issuedAt, expiresAt } = token
  return {
    page: {
      title: 'Revoke token',
      content: dangerPage({
        title: html`Revoke the token ${shorten(id)}?`,
        consequences: [
          html`Whoever has it cannot use ${resourceServerName} with it from now on. It was good for <code>${scope}</code>${isForOther(token) && html`, acting for ${token.subject}`}.`,
          `It was issued ${relativeTime(issuedAt.getTime(), now)}${clientIp === null ? '' : ` to ${clientIp}`} with the key ${keyName}, and would have ended by itself ${relativeTime(expiresAt.getTime(), now)}.`,
          'Its key stays as it is: whoever has that gets a new token at once.',
        ],
        act: 'Revoke token',
        action: `${tokensOf(visit)}/${id}/revoke`,
        formToken,
        back,
      }),
    },
  }
}

/** Ends one token; one that is over already stays so. */
export async function revokeToken(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, params } = visit
  await endOne(services, actor, accountPath(visit), params.tok as string)
  return { to: tokensOf(visit), done: `The token ${shorten(params.tok as string)} is revoked.` }
}

export async function askToRevokeAll(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, formToken } = visit
  const path = accountPath(visit)
  const [{ account }, live] = await Promise.all([
    getServiceAccount(services.db, actor, path),
    getLiveTokenCount(services, actor, path),
  ])
  return {
    page: {
      title: 'Revoke all tokens',
      content: dangerPage({
        title: html`Revoke all tokens of ${account.name}?`,
        consequences: [
          live.tokens === 0
            ? 'It has no live tokens now. One that is being issued at this moment ends all the same.'
            : `${tokensFrom(live)} ${live.tokens === 1 ? 'stops' : 'stop'} working now, and so does one that is being issued at this moment.`,
          'Its keys stay as they are: whoever has one gets a new token at once. To keep somebody out, disable the key or the account.',
        ],
        act: 'Revoke all tokens',
        action: `${tokensOf(visit)}/revoke`,
        formToken,
        back: { label: 'Keep them', to: tokensOf(visit) },
      }),
    },
  }
}

export async function revokeAll(visit: OrganizationVisit): Promise<Reply> {
  await endAll(visit.services, visit.actor, accountPath(visit))
  return { to: tokensOf(visit), done: 'All tokens of this account are revoked.' }
}

function tokensOf({ home, params }: OrganizationVisit): string {
  return `${home}/service-accounts/${params.acc}/tokens`
}

function drawTable(visit: OrganizationVisit, tokens: readonly LiveToken[], here: string): Html {
  const { now } = visit
  const canRevoke = may(visit, 'service_accounts:manage')
  return table({
    label: 'Live tokens',
    columns: [
      { title: 'Token' },
      { title: 'For' },
      { title: 'Scope' },
      { title: 'Key' },
      { title: 'Issued' },
      { title: 'From' },
      { title: 'Expires' },
      ...(canRevoke ? [{ title: 'Revoke', kind: 'action' } as const] : []),
    ],
    rows: tokens.map((token) => [
      copyable(token.id, { label: 'the id', shown: shorten(token.id) }),
      html`<span class="clip" title="${token.resourceServerIdentifier}">${token.resourceServerName}</span>`,
      html`<code class="clip" title="${token.scope}">${token.scope}</code>${isForOther(token) && html` ${badge('off', `for ${token.subject}`)}`}${token.confirmation && html` ${drawBinding(token.confirmation)}`}`,
      html`<a class="clip" href="${here}/keys/${token.keyId}">${token.keyName}</a>`,
      time(token.issuedAt, now),
      html`<code title="${token.userAgent ?? ''}">${token.clientIp ?? 'unknown'}</code>`,
      time(token.expiresAt, now),
      ...(canRevoke ? [linkButton('Revoke…', `${here}/tokens/${token.id}/revoke`, 'plain')] : []),
    ]),
  })
}

/** Nobody else can use a bound token: a stolen one is worth nothing without the sender's key. */
function drawBinding(confirmation: Confirmation): Html {
  return badge('good', 'jkt' in confirmation ? 'bound by DPoP' : 'bound to a certificate')
}

function isForOther({ subject, accountId }: LiveToken): boolean {
  return subject !== accountId
}

function drawEmpty(here: string): Html {
  return emptyState({
    title: 'No live tokens',
    text: html`The account exchanges what it signs with a <a href="${here}/keys">key</a> for a token that is good for minutes to a day. Each stands here until it ends, and can be revoked on its own.`,
  })
}
