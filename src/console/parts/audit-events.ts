import type { AuditChanges } from '../../database/tables.ts'
import type { AuditAction } from '../../directory/audit.ts'
import { TOKEN_ISSUED, type TrailEntry } from '../../directory/audit-trail.ts'
import type { ManagementPermission } from '../../directory/management-permissions.ts'
import { type Content, type Html, html, NOTHING } from '../html.ts'
import { may, type OrganizationVisit } from '../visit.ts'
import { copyable, shorten } from './copy.ts'
import { facts } from './facts.ts'
import { count, exactTime, relativeTime } from './time.ts'

/**
 * Entries of a trail, newest first: who did what, from where and when in one line each, which opens to all that is
 * known of it. `about` is the object whose page this is; it need not be named in every line.
 */
export function auditEvents(
  visit: OrganizationVisit,
  entries: readonly TrailEntry[],
  options: { label: string; about?: string },
): Html {
  return html`<ol class="trail" aria-label="${options.label}">${entries.map(
    (entry) => html`<li>${drawEntry(visit, entry, options.about)}</li>`,
  )}</ol>`
}

function drawEntry(visit: OrganizationVisit, entry: TrailEntry, about: string | undefined): Html {
  const { at, ip } = entry
  // Nothing in a summary takes the focus but the summary itself.
  return html`<details>
  <summary>
    <span class="trail-what">${describeEntry(entry, about)}</span>
    <span class="trail-from">${ip ?? ''}</span>
    <time class="trail-when" datetime="${at.toISOString()}" title="${exactTime(at)}">${relativeTime(at.getTime(), visit.now)}</time>
  </summary>
  <div class="trail-details">${drawFacts(visit, entry)}${drawChanges(entry.changes)}</div>
</details>`
}

/** `{target}` is what it was done to, `{members}` what of it is different now. */
const PHRASES: Record<AuditAction | typeof TOKEN_ISSUED, string> = {
  'organization.created': 'created {target}',
  'organization.updated': 'changed {members} of {target}',
  'organization.disabled': 'disabled {target}',
  'organization.enabled': 'enabled {target}',
  'organization.deleted': 'deleted {target}',
  'service_account.created': 'created {target}',
  'service_account.updated': 'changed {members} of {target}',
  'service_account.disabled': 'disabled {target}; its tokens ended',
  'service_account.enabled': 'enabled {target}',
  'service_account.deleted': 'deleted {target}; its keys and tokens ended',
  'service_account.tokens_revoked': 'revoked all tokens of {target}',
  'administrator.updated': 'changed {members} of {target}',
  'administrator.invited': 'invited {target}',
  'administrator.invitation_accepted': 'accepted the invitation',
  'administrator.reset': 'reset the sign-in of {target}',
  'administrator.disabled': 'disabled {target}',
  'administrator.enabled': 'enabled {target}',
  'administrator.deleted': 'deleted {target}',
  'administrator.signed_in': 'signed in',
  'administrator.signed_out': 'signed out',
  'administrator.sign_in_refused': 'was refused to sign in',
  'administrator.sessions_ended': 'ended sessions of {target}',
  'administrator.openid_linked': 'signed in through the identity provider for the first time',
  'administrator.password_changed': 'changed their password',
  'administrator.second_factor_enabled': 'set up a second factor',
  'administrator.second_factor_disabled': 'removed their second factor',
  'administrator.recovery_codes_replaced': 'replaced their recovery codes',
  'identity_provider.created': 'set up the identity provider',
  'identity_provider.updated': 'changed {members} of the identity provider',
  'identity_provider.deleted': 'removed the identity provider',
  'role.created': 'created {target}',
  'role.updated': 'changed {members} of {target}',
  'role.deleted': 'deleted {target}',
  'group.created': 'created {target}',
  'group.updated': 'changed {members} of {target}',
  'group.deleted': 'deleted {target}',
  'key.created': 'added {target}',
  'key.updated': 'changed {members} of {target}',
  'key.disabled': 'disabled {target}; its tokens ended',
  'key.enabled': 'enabled {target}',
  'key.revoked': 'deleted {target}; its tokens ended',
  'token.issued': 'got a token',
  'token.revoked': 'revoked {target}',
  'token.refused': 'was refused a token',
  'token.revocation_refused': 'was refused to revoke a token',
  'resource_server.created': 'created {target}',
  'resource_server.updated': 'changed {members} of {target}',
  'resource_server.deleted': 'deleted {target}',
  'resource_server_secret.created': 'added {target}',
  'resource_server_secret.deleted': 'deleted {target}',
  'resource_server_key.created': 'added {target}',
  'resource_server_key.updated': 'changed {members} of {target}',
  'resource_server_key.disabled': 'disabled {target}',
  'resource_server_key.enabled': 'enabled {target}',
  'resource_server_key.revoked': 'deleted {target}',
  'installation.rekeyed': 'replaced the key-encryption key',
  'installation.restored': 'restored the database from a backup',
  'signing_key.created': 'made {target}',
  'signing_key.activated': 'began to sign with {target}',
  'signing_key.retired': 'ceased to sign with {target}',
  'signing_key.removed': 'removed {target}',
  'signing_key.revoked': 'revoked {target}',
}

/** Everything that an event can say was done, sorted. */
export const ACTIONS: readonly string[] = Object.keys(PHRASES).sort()

/** What happened, as a sentence: `Ada disabled the key Production; its tokens ended`. */
export function describeEntry(entry: TrailEntry, about?: string): Html {
  const { action, reason, count: times } = entry
  const phrase = PHRASES[action as keyof typeof PHRASES] ?? `${action} {target}`
  const words = phrase.split(/(\{\w+\})/).map((part): Content => {
    if (part === '{target}') return drawTarget(entry, about)
    return part === '{members}' ? describeMembers(entry.changes) : part
  })
  return html`${drawSubject(entry, about)} ${words}${action === TOKEN_ISSUED && describeToken(entry)}${reason !== null && `: ${reason.replaceAll('_', ' ')}`}${times !== null && `, ${count(times, 'time')}`}`
}

/** Who did it; of what was refused, who would have: nobody has proven to be them. */
function drawSubject(entry: TrailEntry, about: string | undefined): Content {
  if (entry.actorKind === 'unknown' && entry.targetName !== null) {
    return entry.targetId === about ? 'This account' : html`<b>${entry.targetName}</b>`
  }
  if (entry.actorId !== null && entry.actorId === about) return 'This account'
  return html`<b>${entry.actorName}</b>`
}

const KINDS: Readonly<Record<string, string>> = {
  service_account: 'service account',
  identity_provider: 'identity provider',
  resource_server: 'resource server',
  resource_server_secret: 'secret',
  resource_server_key: 'key',
  signing_key: 'signing key',
}

function drawTarget(
  { targetId, targetKind, targetName, actorId }: TrailEntry,
  about: string | undefined,
): Content {
  if (targetKind === null) return ''
  const kind = KINDS[targetKind] ?? targetKind
  if (targetId !== null && targetId === actorId)
    return targetKind === 'administrator' ? 'their own account' : 'itself'
  if (targetId !== null && targetId === about) return `this ${kind === 'service account' ? 'account' : kind}`
  const name = targetName ?? (targetId === null ? '' : shorten(targetId))
  return html`the ${kind} <b>${name}</b>`
}

/** Members whose name in the API is not what people say. */
const MEMBERS: Readonly<Record<string, string>> = {
  role_ids: 'roles',
  owner_contact: 'owner',
  expires_at: 'expiry',
  token_requests_per_minute: 'token limit',
  groups_administrator: 'access to all groups',
}

function describeMembers(changes: AuditChanges | null): string {
  const names = [...new Set([...Object.keys(changes?.before ?? {}), ...Object.keys(changes?.after ?? {})])]
  const words = names.map((name) => MEMBERS[name] ?? name.replaceAll('_', ' '))
  const last = words.pop()
  if (last === undefined) return 'something'
  return words.length === 0 ? last : `${words.join(', ')} and ${last}`
}

/** What a token is good for, and for whom it acts. */
function describeToken({ changes, actorId }: TrailEntry): Html {
  const { scope, subject } = changes?.after ?? {}
  const isForOther = typeof subject === 'string' && subject !== actorId
  return html`${isForOther && html` to act for <b>${subject}</b>`}${typeof scope === 'string' && html`: <code>${scope}</code>`}`
}

function drawFacts(visit: OrganizationVisit, entry: TrailEntry): Html {
  const { at, actorId, actorKind, actorName, targetId, targetKind, targetName } = entry
  const { ip, userAgent, requestId, reason, chain } = entry
  return facts([
    ['When', exactTime(at)],
    ['By', drawParty(visit, { id: actorId, kind: actorKind, name: actorName })],
    ...(targetKind === null
      ? []
      : ([['On', drawParty(visit, { id: targetId, kind: targetKind, name: targetName })]] as const)),
    ['Action', html`<code>${entry.action}</code>`],
    ...(reason === null ? [] : ([['Reason', html`<code>${reason}</code>`]] as const)),
    ...(ip === null
      ? []
      : ([
          [
            'From',
            html`<code>${ip}</code>${userAgent !== null && html` <span class="muted">${userAgent}</span>`}`,
          ],
        ] as const)),
    ...(requestId === null ? [] : ([['Request', copyable(requestId, { label: 'the request id' })]] as const)),
    [
      'Event',
      html`${copyable(entry.id, { label: 'the event id' })}${chain !== null && html` <span class="muted">number ${chain.sequence} of the chain</span>`}`,
    ],
  ])
}

function drawParty(
  visit: OrganizationVisit,
  { id, kind, name }: { id: string | null; kind: string; name: string | null },
): Html {
  const words = `${KINDS[kind] ?? kind}${name === null ? '' : ` ${name}`}`
  const page = PAGES[kind]
  const isLinked = id !== null && page !== undefined && may(visit, page.permission)
  return html`${isLinked ? html`<a href="${visit.home}${page.path}/${id}">${words}</a>` : words}${id !== null && html` ${copyable(id, { label: 'the id', shown: shorten(id) })}`}`
}

/** Where the pages of what an event names are, and who may open them. */
const PAGES: Readonly<Record<string, { path: string; permission: ManagementPermission }>> = {
  service_account: { path: '/service-accounts', permission: 'service_accounts:read' },
  administrator: { path: '/administrators', permission: 'administrators:read' },
  role: { path: '/roles', permission: 'roles:read' },
  group: { path: '/groups', permission: 'groups:read' },
}

/** What was and what is, member by member. */
function drawChanges(changes: AuditChanges | null): Html {
  if (changes === null) return NOTHING
  const { before, after } = changes
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  if (names.length === 0) return NOTHING
  return html`<dl class="changes">${names.map(
    (name) =>
      html`<div><dt><code>${name}</code></dt><dd>${drawChange(before?.[name], after?.[name])}</dd></div>`,
  )}</dl>`
}

function drawChange(was: unknown, is: unknown): Html {
  if (was === undefined) return html`<code>${toText(is)}</code>`
  if (is === undefined) return html`<del><code>${toText(was)}</code></del>`
  return html`<del><span class="hidden">before: </span><code>${toText(was)}</code></del> <span aria-hidden="true">→</span> <ins><span class="hidden">after: </span><code>${toText(is)}</code></ins>`
}

function toText(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value)
}
