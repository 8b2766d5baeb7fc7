import { createKey as create } from '../../directory/keys.ts'
import type { KeyRequest } from '../../directory/prepared-key.ts'
import { getServiceAccount } from '../../directory/service-account-reach.ts'
import { updateServiceAccount } from '../../directory/service-accounts.ts'
import { choice, type Draft, freshDraft, readForm, refused, refusedDraft } from '../forms.ts'
import { type Content, type Html, html } from '../html.ts'
import { isFirstSending, onceField, sentBefore } from '../once.ts'
import { actions, faultSummary, form, optionList, selectField, submit, textArea } from '../parts/form.ts'
import { KEY_FIELDS, keyFields, suggestedKey, toDate } from '../parts/key-fields.ts'
import { pageHeader } from '../parts/page-header.ts'
import {
  PUBLIC_KEY,
  publicKeyField,
  READ_FILE_SCRIPT,
  toMaterial,
  withoutPrivateKey,
} from '../parts/public-key.ts'
import { shownOncePage } from '../parts/shown-once.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { accountPath, NO_ACCESS_CHANGE } from './service-account.ts'

const GENERATED_FIELDS = {
  ...KEY_FIELDS,
  modulus_length: choice(['2048', '3072', '4096'], 'Choose a length.'),
  format: choice(['json', 'pem', 'p12'], 'Choose a form.'),
}
const REGISTERED_FIELDS = { ...KEY_FIELDS, ...PUBLIC_KEY }
/** Where the rules find a fault, and the field that it stands in. */
const FIELD_OF = { '/name': 'name', '/expires_at': 'expires_on', '/public_key': 'public_key' }

/** The ways to a key, each with what it means for the private half. */
export async function chooseKey(visit: OrganizationVisit): Promise<Reply> {
  const { account, above, settings } = await findOwner(visit)
  const way = (path: string, title: string, text: string, closed?: string): Html =>
    closed === undefined
      ? html`<li><a class="choice" href="${above}/new/${path}"><strong>${title}</strong><span>${text}</span></a></li>`
      : html`<li><div class="choice closed"><strong>${title}</strong><span>${closed}</span></div></li>`
  return {
    page: {
      title: 'New key',
      content: html`${header('New key', `A key is how ${account.name} proves who it is. Choose where its secret half is made.`, account.name, above)}
<ul class="choices">
${way('browser', 'Generate in this browser', 'Your browser makes the pair and sends only the public half. The private key never leaves this computer.')}
${way('generate', 'Generate on the server', 'The server makes an RSA pair, shows the private half once and forgets it.', settings.allowGeneratedKeys ? undefined : 'Your organization does not allow it.')}
${way('register', 'Register a public key', 'You have made a pair yourself. Paste its public half: PEM, certificate or JWK.')}
${way('api-token', 'API token', 'One secret instead of a pair, for programs that cannot sign. Whoever sees it can use it.', settings.allowApiTokens ? undefined : 'Your organization does not allow it.')}
</ul>`,
    },
  }
}

export async function showGenerate(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawGenerate(visit, undefined) }
}

/** Makes an RSA pair here and shows the private half in this answer alone. */
export async function generateKey(visit: OrganizationVisit): Promise<Reply> {
  const read = readForm(visit.form, GENERATED_FIELDS)
  if ('draft' in read) return refused(await drawGenerate(visit, read.draft), read.draft)
  const { name, expires_on, modulus_length, format } = read.values
  return makeWithSecret(visit, drawGenerate, {
    ...toTerms(name, expires_on),
    type: 'rsa',
    algorithm: undefined,
    modulusLength: Number(modulus_length) as 2048 | 3072 | 4096,
    format,
  })
}

export async function showNewApiToken(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawApiToken(visit, undefined) }
}

/** Makes an API token and shows it in this answer alone. */
export async function createApiToken(visit: OrganizationVisit): Promise<Reply> {
  const read = readForm(visit.form, KEY_FIELDS)
  if ('draft' in read) return refused(await drawApiToken(visit, read.draft), read.draft)
  const { name, expires_on } = read.values
  const { notBefore: _, ...terms } = toTerms(name, expires_on)
  return makeWithSecret(visit, drawApiToken, { ...terms, type: 'api_token' })
}

export async function showRegister(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawRegister(visit, undefined) }
}

/** Registers a public key that somebody has made elsewhere. */
export async function registerKey(visit: OrganizationVisit): Promise<Reply> {
  return register(visit, drawRegister)
}

export async function showBrowser(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawBrowser(visit, undefined) }
}

/**
 * Registers the public half of a pair that the browser has made. Its key file is for client libraries that leave `sub`
 * out, so the account's profile becomes `google`, as with a file that is made here (conformance D7).
 */
export async function registerFromBrowser(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor } = visit
  const reply = await register(visit, drawBrowser)
  if (!('to' in reply)) return reply
  const { account } = await getServiceAccount(services.db, actor, accountPath(visit))
  const { profile, requireDpop } = account.assertionPolicy
  if (profile !== 'google' && !requireDpop) {
    const patch = { ...NO_ACCESS_CHANGE, assertionPolicy: { profile: 'google' as const } }
    await updateServiceAccount(services, actor, accountPath(visit), patch)
  }
  return reply
}

type Draw = (visit: OrganizationVisit, draft: Draft | undefined) => Promise<Page>

async function makeWithSecret(visit: OrganizationVisit, draw: Draw, request: KeyRequest): Promise<Reply> {
  const { services, actor, form } = visit
  const { account, above } = await findOwner(visit)
  if (!(await isFirstSending(visit))) return sentBefore({ label: 'Go to the keys', to: above })
  try {
    const { key, secret } = await create(services, actor, accountPath(visit), request)
    if (secret === undefined) throw new Error('a generated key has a secret')
    return { page: shownOncePage({ key, secret, account, issuer: services.issuer }, above) }
  } catch (error) {
    const draft = refusedDraft(error, form, FIELD_OF)
    return refused(await draw(visit, draft), draft)
  }
}

async function register(visit: OrganizationVisit, draw: Draw): Promise<Reply> {
  const { services, actor, form } = visit
  const read = readForm(form, REGISTERED_FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { name, expires_on, public_key } = read.values
  try {
    const { key } = await create(services, actor, accountPath(visit), {
      ...toTerms(name, expires_on),
      type: 'public_key',
      publicKey: toMaterial(public_key),
      algorithm: undefined,
    })
    const { above } = await findOwner(visit)
    return { to: above, done: `${key.name} is registered.` }
  } catch (error) {
    const draft = withoutPrivateKey(refusedDraft(error, form, FIELD_OF))
    return refused(await draw(visit, draft), draft)
  }
}

async function drawGenerate(visit: OrganizationVisit, draft: Draft | undefined): Promise<Page> {
  return drawForm(visit, draft, {
    path: 'generate',
    title: 'Generate on the server',
    purpose: 'The private half is in the next page, once. Countersign keeps only the public half.',
    initial: { modulus_length: '2048', format: 'json' },
    hasSecret: true,
    act: 'Generate key',
    fields: (shown) => html`${selectField(shown, {
      name: 'modulus_length',
      label: 'Length',
      options: ['2048', '3072', '4096'].map((value) => ({ value, label: `RSA, ${value} bits` })),
    })}
${optionList(shown, {
  name: 'format',
  label: 'How you get it',
  kind: 'radio',
  options: [
    { value: 'json', label: 'JSON key file', help: 'What service-account client libraries read.' },
    { value: 'pem', label: 'PEM', help: 'The private key alone.' },
    { value: 'p12', label: 'PKCS#12', help: 'Key and certificate under a password, for key stores.' },
  ],
})}`,
  })
}

async function drawApiToken(visit: OrganizationVisit, draft: Draft | undefined): Promise<Page> {
  return drawForm(visit, draft, {
    path: 'api-token',
    title: 'New API token',
    purpose: 'The token is in the next page, once. Countersign keeps only its digest.',
    hasSecret: true,
    act: 'Make API token',
  })
}

async function drawRegister(visit: OrganizationVisit, draft: Draft | undefined): Promise<Page> {
  return drawForm(visit, draft, {
    path: 'register',
    title: 'Register a public key',
    purpose: 'The private half stays where you have made it. A private key is refused here.',
    act: 'Register key',
    scripts: [READ_FILE_SCRIPT],
    fields: publicKeyField,
  })
}

async function drawBrowser(visit: OrganizationVisit, draft: Draft | undefined): Promise<Page> {
  const { services, organization } = visit
  const { account } = await findOwner(visit)
  const facts = {
    projectId: organization.slug,
    clientEmail: account.email,
    clientId: account.id,
    issuer: services.issuer,
    organizationId: organization.id,
    fileName: `${account.slug}.json`,
  }
  return drawForm(visit, draft, {
    path: 'browser',
    title: 'Generate in this browser',
    purpose:
      'Your browser makes the pair. Only the public half is sent; the private key is saved on this computer and is seen by no server.',
    act: 'Register public half',
    scripts: ['generate-key.js'],
    fields: (
      shown,
    ) => html`<noscript><p class="notice">This needs JavaScript. Without it, make a pair yourself and register its public half.</p></noscript>
<div class="generate" data-generate="${JSON.stringify(facts)}">
  <div class="button-row"><button class="button primary" type="button" hidden data-make>Generate and save the key file</button></div>
  <p role="status" data-said></p>
</div>
${textArea(shown, { name: 'public_key', label: 'Public half', help: 'Filled in by your browser. This is all that is sent.', rows: 8, isMono: true })}`,
  })
}

type KeyForm = {
  path: string
  title: string
  purpose: string
  act: string
  initial?: Record<string, string>
  hasSecret?: boolean
  scripts?: readonly string[]
  fields?: (draft: Draft) => Content
}

async function drawForm(visit: OrganizationVisit, draft: Draft | undefined, options: KeyForm): Promise<Page> {
  const { formToken, now } = visit
  const { account, above, settings } = await findOwner(visit)
  const { path, title, purpose, act, initial, hasSecret, scripts = [], fields } = options
  const shown = draft ?? freshDraft({ ...suggestedKey(now, settings.maxKeyLifetimeDays), ...initial })
  return {
    title,
    scripts,
    content: html`${header(title, purpose, account.name, above)}
${faultSummary(shown)}
${form({
  action: `${above}/new/${path}`,
  formToken,
  content: html`${hasSecret && onceField(now)}${keyFields(shown, settings.maxKeyLifetimeDays)}
${fields?.(shown)}
${actions(submit(act), { label: 'Cancel', to: above })}`,
})}`,
  }
}

function header(title: string, purpose: string, name: string, above: string): Html {
  return pageHeader({ title, purpose, above: { label: `Keys of ${name}`, to: above } })
}

async function findOwner(visit: OrganizationVisit) {
  const { services, actor, home, organization } = visit
  const { account } = await getServiceAccount(services.db, actor, accountPath(visit))
  return { account, settings: organization.settings, above: `${home}/service-accounts/${account.id}/keys` }
}

function toTerms(name: string, expiresOn: string) {
  return { name: name === '' ? undefined : name, notBefore: undefined, expiresAt: toDate(expiresOn) }
}
