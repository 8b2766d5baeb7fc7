import { createServiceAccount as create } from '../../directory/new-service-account.ts'
import type { KeyRequest } from '../../directory/prepared-key.ts'
import { choice, type Draft, freshDraft, readForm, refused, refusedDraft, ticked } from '../forms.ts'
import { html } from '../html.ts'
import { isFirstSending, onceField, sentBefore } from '../once.ts'
import { ACCOUNT_FIELDS, accountFields } from '../parts/account-fields.ts'
import { apiDisclosure } from '../parts/api.ts'
import { actions, faultSummary, form, optionList, submit } from '../parts/form.ts'
import { suggestedKey, toDate } from '../parts/key-fields.ts'
import { pageHeader } from '../parts/page-header.ts'
import { readRoleOptions } from '../parts/role-options.ts'
import { shownOncePage } from '../parts/shown-once.ts'
import { count } from '../parts/time.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'

const FIELDS = {
  ...ACCOUNT_FIELDS,
  role_ids: ticked(),
  first_key: choice(['none', 'rsa', 'api_token'], 'Choose one.'),
}

export async function showNewServiceAccount(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, freshDraft({ first_key: 'none' })) }
}

/**
 * Creates an account that may do what its roles say, and nothing without one. With a first key the answer is the page
 * that shows its secret.
 */
export async function createServiceAccount(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, form, now } = visit
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { name, description, owner_contact, role_ids, first_key } = read.values
  const above = `${home}/service-accounts`
  if (first_key !== 'none' && !(await isFirstSending(visit))) {
    return sentBefore({ label: 'Go to the service accounts', to: above })
  }
  try {
    const { account, initialKey } = await create(services, actor, organization.id, {
      name,
      slug: undefined,
      description,
      ownerContact: owner_contact === '' ? null : owner_contact,
      access: {
        permissions: undefined,
        roleIds: role_ids,
        groupAccess: undefined,
        groupsAdministrator: undefined,
        delegation: undefined,
      },
      assertionPolicy: {},
      tokenRequestsPerMinute: null,
      initialKey: toKeyRequest(first_key, now, organization.settings.maxKeyLifetimeDays),
    })
    const here = `${above}/${account.id}`
    if (initialKey?.secret === undefined) return { to: here, done: `${account.name} is created.` }
    const { key, secret } = initialKey
    return { page: shownOncePage({ key, secret, account, issuer: services.issuer }, here) }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await draw(visit, draft), draft)
  }
}

async function draw(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, organization, home, formToken, now } = visit
  const { allowGeneratedKeys, allowApiTokens } = organization.settings
  const back = `${home}/service-accounts`
  return {
    title: 'New service account',
    content: html`${pageHeader({
      title: 'New service account',
      purpose: 'It can do nothing until it has a role and a key. Give it the least that it needs.',
      above: { label: 'Service accounts', to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${back}/new`,
  formToken,
  content: html`${onceField(now)}${accountFields(draft)}
  ${optionList(draft, {
    name: 'role_ids',
    label: 'Roles',
    help: 'What it may do here. You can change this at any time.',
    kind: 'checkbox',
    options: await readRoleOptions(visit),
  })}
  ${optionList(draft, {
    name: 'first_key',
    label: 'First key',
    help: `Valid for ${describeLifetime(now, organization.settings.maxKeyLifetimeDays)}. You can add other kinds of keys later.`,
    kind: 'radio',
    options: [
      { value: 'none', label: 'None yet', help: 'Also if you make the pair yourself, or in your browser.' },
      {
        value: 'rsa',
        label: 'JSON key file',
        help: 'Made on the server and shown once. Client libraries read it.',
        isDisabled: !allowGeneratedKeys,
      },
      {
        value: 'api_token',
        label: 'API token',
        help: 'One secret, shown once, for programs that cannot sign.',
        isDisabled: !allowApiTokens,
      },
    ],
  })}
  ${actions(submit('Create service account'), { label: 'Cancel', to: back })}`,
})}
${apiDisclosure(services.issuer, [
  {
    title: 'Create a service account',
    method: 'POST',
    path: `/organizations/${organization.id}/service-accounts`,
    body: { name: draft.value('name') || 'Billing sync', role_ids: [] },
  },
])}`,
  }
}

/** The first key has the expiry that the form of a new one suggests. */
function toKeyRequest(
  type: 'none' | 'rsa' | 'api_token',
  now: number,
  maxDays: number | null,
): KeyRequest | undefined {
  if (type === 'none') return undefined
  const terms = { name: undefined, expiresAt: toDate(suggestedKey(now, maxDays).expires_on) }
  if (type === 'api_token') return { ...terms, type }
  return {
    ...terms,
    type,
    notBefore: undefined,
    algorithm: undefined,
    modulusLength: undefined,
    format: 'json',
  }
}

function describeLifetime(now: number, maxDays: number | null): string {
  const ends = toDate(suggestedKey(now, maxDays).expires_on)
  return count(Math.floor(((ends?.getTime() ?? now) - now) / 86_400_000), 'day')
}
