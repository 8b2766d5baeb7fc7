import type { LiveTokens } from '../../database/queries/live-tokens.ts'
import { thumbprintOf } from '../../directory/public-key.ts'
import {
  countTokensOfSigningKey,
  getSigningKey,
  listSigningKeys as list,
  type SigningKey,
} from '../../directory/signing-keys.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { codeBlock, copyable, shorten } from '../parts/copy.ts'
import { facts } from '../parts/facts.ts'
import { liveTokens } from '../parts/live-tokens.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { badge } from '../parts/state.ts'
import { table } from '../parts/table.ts'
import { relativeTime, time } from '../parts/time.ts'
import { may, type Reply, type SessionVisit } from '../visit.ts'

/** In which order the keys of an algorithm are shown. */
const STATES = ['active', 'next', 'retiring', 'gone'] as const

/** The keys that access tokens are signed with: which signs, which stands ready, which only verify. */
export async function listSigningKeys(visit: SessionVisit): Promise<Reply> {
  const { services, actor, root } = visit
  const { items, nextCursor } = await list(services, actor, pageOf(visit))
  const published = items.filter(({ status }) => status !== 'gone').toSorted(inOrder)
  const former = items.filter(({ status }) => status === 'gone')
  const tokens = new Map<string, LiveTokens>()
  for (const key of published) tokens.set(key.id, await countTokensOfSigningKey(services, actor, key))
  const canManage = may(visit, 'signing_keys:manage')
  return {
    page: {
      title: 'Signing keys',
      content: html`${pageHeader({
        title: 'Signing keys',
        purpose: `This server signs access tokens with them. They take turns by themselves, every ${services.signingKeyRotationDays} days, so nothing here needs you unless a key may be in other hands.`,
        action: canManage ? linkButton('Rotate now…', `${root}/signing-keys/rotate`, 'plain') : undefined,
      })}
${published.length > 0 && drawPublished(visit, published, tokens)}
${published.length > 0 && drawPlace(services.issuer)}
${former.length > 0 && section('Former keys', drawFormer(visit, former), { purpose: 'They count for nothing. Their private halves are deleted.' })}
${paging(visit, nextCursor)}
${apiDisclosure(services.issuer, [
  { title: 'All signing keys', method: 'GET', path: '/signing-keys' },
  ...(canManage ? [{ title: 'Rotate now', method: 'POST', path: '/signing-keys/rotate' }] : []),
])}`,
    },
  }
}

/** One signing key. */
export async function showSigningKey(visit: SessionVisit): Promise<Reply> {
  const { services, actor, root, params, now } = visit
  const key = await getSigningKey(services, actor, params.sig as string)
  const live = await countTokensOfSigningKey(services, actor, key)
  const here = `${root}/signing-keys/${key.id}`
  const canRevoke = may(visit, 'signing_keys:manage') && key.status !== 'gone'
  return {
    page: {
      title: `Signing key ${key.algorithm}`,
      content: html`${pageHeader({
        title: html`Signing key ${key.algorithm}`,
        purpose: describeState(key),
        above: { label: 'Signing keys', to: `${root}/signing-keys` },
      })}
${facts([
  ['State', drawState(key)],
  ['Key id (kid)', copyable(key.id, { label: 'the key id' })],
  ['Thumbprint', copyable(thumbprintOf(key.publicKey), { label: 'the thumbprint' })],
  ['Live tokens', key.status === 'gone' ? html`<span class="muted">none</span>` : liveTokens(live)],
  ['Comes next', drawDue(key, now)],
  ['Published', time(key.createdAt, now)],
  ['Signs since', time(key.activatedAt, now, key.status === 'next' ? 'not yet' : 'never')],
  ...(key.retiredAt === null ? [] : ([['Signs no more since', time(key.retiredAt, now)]] as const)),
  ...(key.removedAt === null
    ? []
    : ([[key.revokedAt === null ? 'Gone since' : 'Revoked', time(key.removedAt, now)]] as const)),
])}
${section('Public key', codeBlock(JSON.stringify(key.publicKey, null, 2), 'the public key'), { purpose: 'Anybody may have it. It verifies what the private half signs.' })}
${
  canRevoke &&
  section(
    'Emergency',
    html`<div class="button-row">${linkButton('Revoke…', `${here}/revoke`, 'danger')}</div>`,
    {
      purpose:
        'Only if its private half may be in other hands. Every token that it has signed stops working at once, and another key takes its place.',
    },
  )
}
${apiDisclosure(services.issuer, [
  { title: 'All signing keys', method: 'GET', path: '/signing-keys' },
  ...(canRevoke ? [{ title: 'Revoke it', method: 'POST', path: `/signing-keys/${key.id}/revoke` }] : []),
])}`,
    },
  }
}

function inOrder(one: SigningKey, other: SigningKey): number {
  const rank = ({ status }: SigningKey) => STATES.indexOf(status)
  return one.algorithm.localeCompare(other.algorithm, 'en') || rank(one) - rank(other)
}

/** The state of a key in a word. */
function drawState(key: SigningKey): Html {
  switch (key.status) {
    case 'next':
      return badge('off', 'next')
    case 'active':
      return badge('good', 'current')
    case 'retiring':
      return badge('notice', 'retired')
    case 'gone':
      return key.revokedAt === null ? badge('off', 'gone') : badge('bad', 'revoked')
  }
}

function describeState(key: SigningKey): string {
  switch (key.status) {
    case 'next':
      return 'It stands ready: published, so that whoever verifies tokens knows it when its turn comes. It has signed nothing.'
    case 'active':
      return 'It signs access tokens now.'
    case 'retiring':
      return 'It signs no more. It stays published until the last of its tokens has expired.'
    case 'gone':
      return key.revokedAt === null
        ? 'It has had its turn, and counts for nothing any more.'
        : 'It was revoked before its time. Nothing that it has signed counts.'
  }
}

/** Since when a key is what it is. */
function sinceWhen({ status, createdAt, activatedAt, retiredAt, removedAt }: SigningKey): Date {
  const since = { next: createdAt, active: activatedAt, retiring: retiredAt, gone: removedAt }
  return since[status] ?? createdAt
}

/** What the server itself does with it, and when. */
function drawDue({ status, dueAt }: SigningKey, now: number): Html {
  if (dueAt === null) return html`<span class="muted">nothing</span>`
  const acts = { next: 'signs', active: 'retires', retiring: 'leaves', gone: '' }
  // The server looks every hour.
  if (dueAt.getTime() <= now) return html`${acts[status]} within the hour`
  return html`${acts[status]} ${time(dueAt, now)}`
}

function drawPublished(
  { root, now }: SessionVisit,
  keys: readonly SigningKey[],
  tokens: ReadonlyMap<string, LiveTokens>,
): Html {
  return table({
    label: 'Signing keys',
    columns: [
      { title: 'Key id' },
      { title: 'Algorithm' },
      { title: 'State' },
      { title: 'Since' },
      { title: 'Comes next' },
      { title: 'Live tokens', kind: 'number' },
    ],
    rows: keys.map((key) => {
      const live = tokens.get(key.id) ?? { tokens: 0, isMore: false }
      return [
        html`<a class="mono" href="${root}/signing-keys/${key.id}" title="${key.id}">${shorten(key.id)}</a>`,
        key.algorithm,
        drawState(key),
        time(sinceWhen(key), now),
        drawDue(key, now),
        `${live.isMore ? 'over ' : ''}${live.tokens}`,
      ]
    }),
  })
}

function drawFormer({ root, now }: SessionVisit, keys: readonly SigningKey[]): Html {
  return table({
    label: 'Former keys',
    columns: [
      { title: 'Key id' },
      { title: 'Algorithm' },
      { title: 'State' },
      { title: 'Since' },
      { title: 'Signed from' },
    ],
    rows: keys.map((key) => [
      html`<a class="mono" href="${root}/signing-keys/${key.id}" title="${key.id}">${shorten(key.id)}</a>`,
      key.algorithm,
      drawState(key),
      time(sinceWhen(key), now),
      time(key.activatedAt, now),
    ]),
  })
}

/** Where whoever verifies tokens reads the public halves. */
function drawPlace(issuer: string): Html {
  const address = `${issuer}/.well-known/jwks.json`
  return html`<p class="beside-table">Published at <a href="${address}">${address}</a>, where whoever verifies tokens reads them.</p>`
}

/** When a key was made, as a sentence goes on. */
export function publishedFor(key: Pick<SigningKey, 'createdAt'>, now: number): string {
  return `published ${relativeTime(key.createdAt.getTime(), now)}`
}
