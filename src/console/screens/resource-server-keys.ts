import type { ResourceServer } from '../../database/queries/resource-servers.ts'
import type { ResourceServerKeyRow } from '../../database/tables.ts'
import {
  createResourceServerKey,
  getResourceServerKey,
  updateResourceServerKey,
} from '../../directory/resource-server-keys.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { codeBlock, copyable } from '../parts/copy.ts'
import { endings } from '../parts/endings.ts'
import { facts } from '../parts/facts.ts'
import { actions, faultSummary, form, submit } from '../parts/form.ts'
import {
  changedExpiry,
  KEY_FIELDS,
  KEY_SETTINGS,
  keyFields,
  keySettings,
  suggestedKey,
  toDate,
} from '../parts/key-fields.ts'
import { drawKeyState } from '../parts/key-state.ts'
import { pageHeader, section } from '../parts/page-header.ts'
import {
  PUBLIC_KEY,
  publicKeyField,
  READ_FILE_SCRIPT,
  toMaterial,
  withoutPrivateKey,
} from '../parts/public-key.ts'
import { time } from '../parts/time.ts'
import { may, type Page, type Reply, type SessionVisit } from '../visit.ts'
import { homeOfServer, readServer } from './resource-server.ts'

const NEW_FIELDS = { ...KEY_FIELDS, ...PUBLIC_KEY }
const FAULTS = { '/name': 'name', '/expires_at': 'expires_on', '/public_key': 'public_key' }

export async function showNewServerKey(visit: SessionVisit): Promise<Reply> {
  const server = await readServer(visit)
  return { page: drawNew(visit, server, freshDraft(suggestedKey(visit.now, null))) }
}

/** Registers a public key that somebody has made elsewhere. */
export async function registerServerKey(visit: SessionVisit): Promise<Reply> {
  const { services, actor, form: given } = visit
  const server = await readServer(visit)
  const read = readForm(given, NEW_FIELDS)
  if ('draft' in read) return refused(drawNew(visit, server, read.draft), read.draft)
  const { name, expires_on, public_key } = read.values
  try {
    const key = await createResourceServerKey(services, actor, server.id, {
      publicKey: toMaterial(public_key),
      algorithm: undefined,
      name: name === '' ? undefined : name,
      expiresAt: toDate(expires_on),
    })
    return { to: `${homeOfServer(visit, server)}/credentials`, done: `${key.name} is registered.` }
  } catch (error) {
    const draft = withoutPrivateKey(refusedDraft(error, given, FAULTS))
    return refused(drawNew(visit, server, draft), draft)
  }
}

/** One key of a resource server. */
export async function showServerKey(visit: SessionVisit): Promise<Reply> {
  return { page: await draw(visit, undefined) }
}

/** Renames a key or moves its expiry. */
export async function saveServerKey(visit: SessionVisit): Promise<Reply> {
  const { services, actor, form: given, path } = visit
  const { server, key } = await readServerKey(visit)
  const read = readForm(given, KEY_SETTINGS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { name, expires_on } = read.values
  try {
    const patch = { name, status: undefined, expiresAt: changedExpiry(key.expiresAt, expires_on) }
    await updateResourceServerKey(services, actor, server.id, key.id, patch)
    return { to: path, done: `${name} is saved.` }
  } catch (error) {
    const draft = refusedDraft(error, given, FAULTS)
    return refused(await draw(visit, draft), draft)
  }
}

/** The key in the path, with whose it is. Throws Refusal `resource_not_found`. */
export async function readServerKey(
  visit: SessionVisit,
): Promise<{ server: ResourceServer; key: ResourceServerKeyRow }> {
  const { services, actor, params } = visit
  const server = await readServer(visit)
  return { server, key: await getResourceServerKey(services, actor, server.id, params.rsk as string) }
}

function drawNew(visit: SessionVisit, server: ResourceServer, draft: Draft): Page {
  const here = homeOfServer(visit, server)
  const back = `${here}/credentials`
  return {
    title: 'Register a key',
    scripts: [READ_FILE_SCRIPT],
    content: html`${pageHeader({
      title: 'Register a key',
      purpose: 'The private half stays with the API. A private key is refused here.',
      above: { label: `Credentials of ${server.name}`, to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${here}/keys/new`,
  formToken: visit.formToken,
  content: html`${keyFields(draft, null)}
${publicKeyField(draft)}
${actions(submit('Register key'), { label: 'Cancel', to: back })}`,
})}`,
  }
}

async function draw(visit: SessionVisit, draft: Draft | undefined): Promise<Page> {
  const { services, now } = visit
  const { server, key } = await readServerKey(visit)
  const here = `${homeOfServer(visit, server)}/keys/${key.id}`
  const canManage = may(visit, 'resource_servers:manage') && key.status !== 'revoked'
  const api = `/resource-servers/${server.id}/keys/${key.id}`
  const length = key.modulusLength === null ? '' : `, ${key.modulusLength} bits`
  return {
    title: key.name,
    content: html`${pageHeader({
      title: key.name,
      purpose: `A key of ${server.name}: ${key.algorithm}${length}.`,
      above: { label: `Credentials of ${server.name}`, to: `${homeOfServer(visit, server)}/credentials` },
    })}
${draft && faultSummary(draft)}
${facts([
  ['State', drawKeyState(key, now)],
  ['Id', copyable(key.id, { label: 'the id' })],
  ['Key id in a JWT', copyable(key.kid, { label: 'the kid' })],
  ['Thumbprint', copyable(key.thumbprint, { label: 'the thumbprint' })],
  ['Expires', time(key.expiresAt, now)],
  ['Last use', time(key.lastUsedAt, now, 'This key has never been used.')],
  ['Created', time(key.createdAt, now)],
])}
${section('Public key', codeBlock(JSON.stringify(key.publicKey, null, 2), 'the public key'), { purpose: 'Anybody may have it. It verifies what the private half signs.' })}
${canManage && keySettings(visit, { key, draft, action: here })}
${canManage && endings(visit, { here, isDisabled: key.status === 'disabled', purpose: 'Disabling can be undone. Deleting cannot.' })}
${apiDisclosure(services.issuer, [
  { title: 'This key', method: 'GET', path: api },
  { title: 'Disable it', method: 'PATCH', path: api, body: { status: 'disabled' } },
  { title: 'Delete it', method: 'DELETE', path: api },
])}`,
  }
}
