import type { KeyRow } from '../../database/tables.ts'
import { getKey, stateOfKey, updateKey } from '../../directory/keys.ts'
import { getServiceAccount } from '../../directory/service-account-reach.ts'
import { type Draft, readForm, refused, refusedDraft } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { codeBlock, copyable } from '../parts/copy.ts'
import { endings, TOKENS_END } from '../parts/endings.ts'
import { facts } from '../parts/facts.ts'
import { faultSummary } from '../parts/form.ts'
import { changedExpiry, KEY_SETTINGS, keySettings } from '../parts/key-fields.ts'
import { drawKeyState } from '../parts/key-state.ts'
import { pageHeader, section } from '../parts/page-header.ts'
import { time } from '../parts/time.ts'
import { may, type OrganizationVisit, type Page, type Reply } from '../visit.ts'
import { describeType } from './keys.ts'
import { accountPath } from './service-account.ts'

/** One key: how it is known, how it stands, and what can be done with it. */
export async function showKey(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, undefined) }
}

/** Renames a key or moves its expiry. */
export async function saveKey(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, form: given, params, path } = visit
  const read = readForm(given, KEY_SETTINGS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { name, expires_on } = read.values
  try {
    const before = await getKey(services, actor, accountPath(visit), params.key as string)
    const key = await updateKey(services, actor, accountPath(visit), before.id, {
      name,
      status: undefined,
      expiresAt: changedExpiry(before.expiresAt, expires_on),
    })
    return { to: path, done: `${key.name} is saved.` }
  } catch (error) {
    const draft = refusedDraft(error, given, { '/expires_at': 'expires_on', '/name': 'name' })
    return refused(await draw(visit, draft), draft)
  }
}

async function draw(visit: OrganizationVisit, draft: Draft | undefined): Promise<Page> {
  const { services, actor, organization, home, now, params } = visit
  const path = accountPath(visit)
  const [{ account }, key] = await Promise.all([
    getServiceAccount(services.db, actor, path),
    getKey(services, actor, path, params.key as string),
  ])
  const above = `${home}/service-accounts/${account.id}/keys`
  const here = `${above}/${key.id}`
  const canManage = may(visit, 'service_accounts:manage') && key.status !== 'revoked'
  const api = `/organizations/${organization.id}/service-accounts/${account.id}/keys/${key.id}`
  return {
    title: key.name,
    content: html`${pageHeader({
      title: key.name,
      purpose: `A key of ${account.name}: ${describeType(key)}.`,
      above: { label: `Keys of ${account.name}`, to: above },
    })}
${draft && faultSummary(draft)}
${drawFacts(key, now)}
${key.publicKey !== null && section('Public key', codeBlock(JSON.stringify(key.publicKey, null, 2), 'the public key'), { purpose: 'Anybody may have it. It verifies what the private half signs.' })}
${canManage && keySettings(visit, { key, draft, action: here })}
${canManage && endings(visit, { here, isDisabled: key.status === 'disabled', purpose: describeEnd(key, now) })}
${apiDisclosure(services.issuer, [
  { title: 'This key', method: 'GET', path: api },
  { title: 'Disable it', method: 'PATCH', path: api, body: { status: 'disabled' } },
  { title: 'Delete it', method: 'DELETE', path: api },
])}`,
  }
}

function drawFacts(key: KeyRow, now: number): Html {
  const from = [key.lastUsedIp, key.lastUsedUserAgent].filter((text) => text !== null).join(', ')
  return facts([
    ['State', drawKeyState(key, now)],
    ['Id', copyable(key.id, { label: 'the id' })],
    ...(key.kid !== null && key.kid !== key.id
      ? ([['Key id in a JWT', copyable(key.kid, { label: 'the kid' })]] as const)
      : []),
    ...(key.thumbprint === null
      ? []
      : ([['Thumbprint', copyable(key.thumbprint, { label: 'the thumbprint' })]] as const)),
    ...(key.obfuscatedToken === null
      ? []
      : ([['Begins and ends with', html`<code>${key.obfuscatedToken}</code>`]] as const)),
    ['Expires', time(key.expiresAt, now)],
    [
      'Last use',
      html`${time(key.lastUsedAt, now, 'This key has never been used.')}${from !== '' && ` from ${from}`}`,
    ],
    ['Created', time(key.createdAt, now)],
  ])
}

function describeEnd(key: KeyRow, now: number): string {
  return stateOfKey(key, now) === 'expired' ? 'It has run out, and obtains no tokens.' : TOKENS_END
}
