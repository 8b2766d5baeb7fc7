import type { Check, CheckName, ExplainedKey, Explanation } from '../../assertion/explanation.ts'
import type { PrivateDetail } from '../../errors.ts'
import { type Content, type Html, html, NOTHING } from '../html.ts'
import { describeReason } from '../reason-words.ts'
import { codeBlock } from './copy.ts'
import { facts } from './facts.ts'
import { CHECK_ICON, CROSS_ICON, DASH_ICON } from './icons.ts'
import { section } from './page-header.ts'
import { count, exactTime } from './time.ts'

/** What an explanation links to: the organization's pages. */
type Place = { home: string }

/** The verdict first, then every check in the order of the token endpoint, then what the assertion says. */
export function drawExplanation(explanation: Explanation, place: Place): Html {
  const { checks, jwt } = explanation
  const failing = checks.filter(({ verdict }) => verdict === 'fails').length
  return html`${drawVerdict(explanation, place)}
${section(
  'Every check, in order',
  html`<ol class="checks">${checks.map((check) => drawCheck(check, explanation, place))}</ol>`,
  {
    purpose:
      failing < 2
        ? 'The token endpoint stops at the first that fails; here the others are made as well.'
        : `The token endpoint stops at the first that fails; here the others are made as well, and ${failing} fail.`,
  },
)}
${jwt !== undefined && section('What it says', html`${codeBlock(toJson(jwt.header), 'the header')}${codeBlock(toJson(jwt.claims), 'the claims')}`, { purpose: 'Header and claims as they were read, in whatever way they are signed.' })}`
}

function drawVerdict({ kind, refusal, told, token, account, jwt, now }: Explanation, { home }: Place): Html {
  const noun = kind === 'grant' ? 'authorization grant' : 'client assertion'
  const common = [
    ['Read as', noun],
    ...(account
      ? ([['Account', html`<a href="${home}/service-accounts/${account.id}">${account.name}</a>`]] as const)
      : []),
    ['Clocks', describeClock(jwt?.claims.iat, now)],
  ] as const
  if (refusal === undefined && token !== undefined) {
    return html`<div class="verdict good" role="status">
  <h2>${CHECK_ICON}This would get a token</h2>
  <p>The token endpoint would take it now, and give this. Nothing has been issued, so it can still be used.</p>
</div>
${facts([...common, ['Subject', html`<code>${token.subject}</code>`], ['Audience', html`<code>${token.audience}</code>`], ['Scope', html`<code>${token.scope.join(' ')}</code>`], ['Token', `${token.format === 'jwt' ? 'JWT' : 'opaque'}, valid for ${describeSeconds(token.lifetimeSeconds)}`]])}`
  }
  const reason = refusal?.reason ?? ''
  return html`<div class="verdict bad" role="status">
  <h2>${CROSS_ICON}This would be refused: <code>${reason}</code></h2>
  <p>${describeReason(reason)}</p>
</div>
${facts([...common, ...(told ? ([['The caller hears', html`<code>${told.status} ${told.error}</code> ${told.description}`]] as const) : [])])}`
}

/** How far the sender's clock is from ours, as far as `iat` tells. */
function describeClock(iat: unknown, now: number): string {
  const here = `${exactTime(new Date(now * 1000))} here`
  if (typeof iat !== 'number') return `${here}; without iat the sender’s does not show`
  const offset = Math.round(iat - now)
  if (offset === 0) return `${here}; iat is the same second`
  return `${here}; iat is ${describeSeconds(Math.abs(offset))} ${offset > 0 ? 'ahead' : 'behind'}`
}

const WORDS = { holds: 'holds', fails: 'fails', open: 'not judged' } as const
const ICONS = { holds: CHECK_ICON, fails: CROSS_ICON, open: DASH_ICON } as const

function drawCheck(check: Check, explanation: Explanation, place: Place): Html {
  const { name, verdict, refusal } = check
  const lines = verdict === 'open' && name !== 'replay' ? [] : LINES[name]({ ...check, explanation, place })
  return html`<li class="check ${verdict}">
  <div class="check-head">${ICONS[verdict]}<h3>${TITLES[name]}</h3><span class="check-verdict">${WORDS[verdict]}</span></div>
  ${refusal && html`<p class="check-reason"><code>${refusal.reason}</code> ${describeReason(refusal.reason)}</p>`}
  ${lines.length > 0 && html`<dl>${lines.map(([label, value]) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>`}
</li>`
}

const TITLES: Readonly<Record<CheckName, Content>> = {
  size: 'Size',
  form: 'Form of a JWT',
  typ: html`Kind of JWT, <code>typ</code>`,
  iss: html`Issuer, <code>iss</code>`,
  organization: 'Organization',
  account: 'Account',
  key: html`Key, <code>kid</code>`,
  algorithm: html`Algorithm, <code>alg</code>`,
  signature: 'Signature',
  sub: html`Subject, <code>sub</code>`,
  aud: html`Audience, <code>aud</code>`,
  exp: html`Expiry, <code>exp</code>`,
  nbf: html`Not before, <code>nbf</code>`,
  iat: html`Issued at, <code>iat</code>`,
  lifetime: 'Life time',
  jti: html`Id, <code>jti</code>`,
  scope: html`Scope in the assertion, <code>scope</code>`,
  target: 'Permissions',
  proof: 'Proof of possession',
  limit: 'Token limit',
  replay: 'First use',
}

type Line = readonly [label: string, value: Content]
type Seen = Pick<Check, 'facts' | 'refusal' | 'verdict'> & { explanation: Explanation; place: Place }

/** What was received and what would have held, in the words of each check. */
const LINES: Readonly<Record<CheckName, (seen: Seen) => readonly Line[]>> = {
  size: ({ facts: { received, limit } }) => [
    ['Received', `${received} characters`],
    ['Expected', `at most ${limit}`],
  ],
  form: ({ refusal }) => (refusal === undefined ? [] : [['Found', text(refusal.detail.fact)]]),
  typ: ({ facts: { received, expected } }) => [
    ['Received', code(received, 'none')],
    ['Expected', codes(expected, 'none')],
  ],
  iss: ({ facts: { received }, explanation: { account }, place }) => [
    ['Received', code(received, 'none')],
    ...(account
      ? ([
          ['Found', html`<a href="${place.home}/service-accounts/${account.id}">${account.name}</a>`],
        ] as const)
      : []),
  ],
  organization: ({ facts: { status } }) => [['State', text(status)]],
  account: ({ facts: { status } }) => [['State', text(status)]],
  key: ({ facts: { kid }, explanation, place }) => [
    ['Received', code(kid, 'none: all active keys of the account are tried')],
    ...drawKey(explanation, place),
  ],
  algorithm: ({ facts: { received, expected } }) => [
    ['Received', code(received)],
    ['Expected', codes(expected)],
  ],
  signature: ({ facts: { tried }, verdict, explanation: { key } }) =>
    verdict === 'holds' ? [['Made by', code(key?.id)]] : [['Tried', codes(tried)]],
  sub: ({ facts: { received, expected, delegated } }) => [
    ['Received', code(received, 'none')],
    ['Expected', codes(expected)],
    ...(Array.isArray(delegated) && delegated.length > 0
      ? ([['May act for', codes(delegated)]] as const)
      : []),
  ],
  aud: ({ facts: { received, expected } }) => [
    ['Received', code(received, 'none')],
    ['Expected', codes(expected)],
  ],
  exp: ({ facts: seen }) => drawTime(seen, `later than ${seen.skewSeconds} seconds ago`),
  nbf: ({ facts: seen }) => drawTime(seen, `none, or at most ${seen.skewSeconds} seconds ahead`),
  iat: ({ facts: seen }) => drawTime(seen, `none, or at most ${seen.skewSeconds} seconds ahead`),
  lifetime: ({ facts: { received, limit, skewSeconds } }) => [
    ['Received', describeSeconds(Number(received))],
    ['Expected', `at most ${describeSeconds(Number(limit))}, and ${skewSeconds} seconds for the clocks`],
  ],
  jti: ({ facts: { received, isRequired } }) => [
    ['Received', code(received, 'none')],
    ['Expected', isRequired === true ? 'required' : 'optional; with one, an assertion is good once'],
  ],
  scope: ({ facts: { received } }) => [['Received', code(received, 'none: no ceiling')]],
  target: ({ facts: seen, explanation: { token } }) => drawTarget(seen, token),
  proof: ({ facts: { isRequired } }) => [
    ['DPoP', isRequired === true ? 'required of this account' : 'not required'],
  ],
  limit: ({ facts: { limit, requests } }) => [
    ['This minute', limit === null ? 'no limit' : `${requests} of ${limit} requests`],
  ],
  replay: ({ facts: { jti, tokenId, requestId }, verdict, place }) =>
    drawUse({ jti, tokenId, requestId }, verdict, place),
}

function drawKey({ key, account, now }: Explanation, { home }: Place): readonly Line[] {
  if (key === undefined || account === undefined) return []
  const id = html`<code>${key.id}</code>`
  const link = html`<a href="${home}/service-accounts/${account.id}/keys/${key.id}">${id}</a>`
  return [
    ['Found', html`${key.status === 'revoked' ? id : link}, ${key.algorithm}`],
    ['State', describeKeyState(key, now)],
  ]
}

function describeKeyState({ status, notBefore, expiresAt }: ExplainedKey, now: number): string {
  const word = status === 'revoked' ? 'deleted' : status
  const bounds = [
    ...(notBefore !== null && notBefore.getTime() > now * 1000 ? [`from ${exactTime(notBefore)}`] : []),
    ...(expiresAt === null
      ? []
      : [`${expiresAt.getTime() <= now * 1000 ? 'expired' : 'expires'} ${exactTime(expiresAt)}`]),
  ]
  return [word, ...bounds].join(', ')
}

function drawTime({ received, now }: PrivateDetail, expected: string): readonly Line[] {
  if (typeof received !== 'number' || typeof now !== 'number') {
    return [
      ['Received', code(received, 'none')],
      ['Expected', expected],
    ]
  }
  const offset = Math.round(received - now)
  const distance =
    offset === 0 ? 'now' : offset > 0 ? `${describeSeconds(offset)} ahead` : `${describeSeconds(-offset)} ago`
  const at = new Date(received * 1000)
  return [
    [
      'Received',
      html`<code>${received}</code>${Number.isFinite(at.getTime()) && html` ${exactTime(at)}`}, ${distance}`,
    ],
    ['Expected', expected],
  ]
}

function drawTarget(
  { resources, scope, access }: PrivateDetail,
  token: Explanation['token'],
): readonly Line[] {
  const list = access as readonly { identifier: string; permissions: readonly string[] }[]
  return [
    [
      'Asked for',
      html`${code(scope, 'everything it has')} ${Array.isArray(resources) && resources.length > 0 && html`at ${codes(resources)}`}`,
    ],
    [
      'Account has',
      list.length === 0
        ? 'nothing'
        : html`<ul>${list.map(({ identifier, permissions }) => html`<li><code>${identifier}</code>: ${permissions.join(', ')}</li>`)}</ul>`,
    ],
    ...(token
      ? ([['Token', html`<code>${token.scope.join(' ')}</code> at <code>${token.audience}</code>`]] as const)
      : []),
  ]
}

function drawUse(
  { jti, tokenId, requestId }: PrivateDetail,
  verdict: Check['verdict'],
  { home }: Place,
): readonly Line[] {
  if (verdict === 'open')
    return jti === null ? [['Without jti', 'it can be presented again until it expires']] : []
  if (verdict === 'holds') return [['Uses so far', 'none; looking has used nothing up']]
  if (tokenId === null) return [['Used', 'to authenticate, without getting a token']]
  return [
    ['Used for', html`token <code>${text(tokenId)}</code>`],
    [
      'In request',
      html`<a href="${home}/try-it?${new URLSearchParams({ request: text(requestId) }).toString()}"><code>${text(requestId)}</code></a>`,
    ],
  ]
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function code(value: unknown, none = ''): Html {
  return typeof value === 'string' && value !== '' ? html`<code>${value}</code>` : html`${none}`
}

/** Several values of which one would do; undefined among them is the absent one. */
function codes(values: unknown, absent = 'none'): Html {
  if (!Array.isArray(values) || values.length === 0) return html`${absent}`
  return html`${values.map((value, index) => html`${index > 0 ? ', ' : NOTHING}${code(value, absent)}`)}`
}

function describeSeconds(seconds: number): string {
  if (seconds < 120) return count(Math.floor(seconds), 'second')
  if (seconds < 7200) return count(Math.floor(seconds / 60), 'minute')
  if (seconds < 172_800) return count(Math.floor(seconds / 3600), 'hour')
  return count(Math.floor(seconds / 86_400), 'day')
}

/** Characters that would not show, or turn the direction of what does, are spelt out. */
function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replaceAll(
    /[\p{Cf}\p{Bidi_C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  )
}
