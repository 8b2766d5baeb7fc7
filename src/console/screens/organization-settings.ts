import type { OrganizationRow, OrganizationSettings } from '../../database/tables.ts'
import { updateOrganization } from '../../directory/organizations.ts'
import {
  type Draft,
  freshDraft,
  line,
  optionalWholeNumber,
  readForm,
  refused,
  refusedDraft,
  ticked,
  wholeNumber,
} from '../forms.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable } from '../parts/copy.ts'
import { endings, endingsTitle, TOKENS_END } from '../parts/endings.ts'
import { facts } from '../parts/facts.ts'
import { actions, faultSummary, form, optionList, submit, textField } from '../parts/form.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { isOutdated, outdatedDraft, seenField } from '../parts/seen.ts'
import { badge } from '../parts/state.ts'
import { count, time } from '../parts/time.ts'
import { may, type OrganizationVisit, type Page, type Reply } from '../visit.ts'
import { findProvider } from './identity-provider.ts'

const FIELDS = {
  name: line({ max: 200, required: 'Give the organization a name.' }),
  rules: ticked(),
  max_key_lifetime_days: optionalWholeNumber({
    min: 1,
    max: 3650,
    text: 'Give a number of days from 1 to 3650, or nothing.',
  }),
  max_keys_per_account: wholeNumber({ min: 1, max: 100, text: 'Give a number from 1 to 100.' }),
  token_requests_per_minute: optionalWholeNumber({
    min: 1,
    max: 1_000_000,
    text: 'Give a number from 1 to 1000000, or nothing.',
  }),
}

/** A change that leaves everything as it is; a screen says what shall differ. */
export const NO_ORGANIZATION_CHANGE = { name: undefined, status: undefined, settings: {} }

/** What holds for everybody in an organization. */
export async function showSettings(visit: OrganizationVisit): Promise<Reply> {
  const { services, organization, home } = visit
  const here = `${home}/settings`
  const canManage = may(visit, 'organizations:manage')
  const path = `/organizations/${organization.id}`
  return {
    page: {
      title: 'Settings',
      content: html`${pageHeader({
        title: 'Settings',
        purpose: `What holds for every account of ${organization.name}.`,
        action: canManage ? linkButton('Edit', `${here}/edit`, 'plain') : undefined,
      })}
${drawFacts(visit)}
${section('Rules', drawRules(organization.settings))}
${drawApiTokens(visit, canManage)}
${await drawSingleSignOn(visit)}
${visit.actor.isOperator && canManage && drawEnd(visit)}
${apiDisclosure(services.issuer, [
  { title: 'This organization', method: 'GET', path },
  ...(canManage
    ? [
        {
          title: 'Change its rules',
          method: 'PATCH',
          path,
          body: { settings: { max_key_lifetime_days: 365 } },
        },
      ]
    : []),
])}`,
    },
  }
}

export function editSettings(visit: OrganizationVisit): Reply {
  return { page: draw(visit, freshDraft(valuesOf(visit.organization))) }
}

export async function saveSettings(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, form: given } = visit
  if (isOutdated(given, organization.updatedAt)) {
    const draft = outdatedDraft(valuesOf(organization))
    return refused(draw(visit, draft), draft)
  }
  const read = readForm(given, FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft), read.draft)
  const { values } = read
  try {
    await updateOrganization(services, actor, organization.id, {
      name: values.name,
      status: undefined,
      settings: {
        requireJti: values.rules.includes('require_jti'),
        allowGeneratedKeys: values.rules.includes('allow_generated_keys'),
        maxKeyLifetimeDays: values.max_key_lifetime_days,
        maxKeysPerAccount: values.max_keys_per_account,
        tokenRequestsPerMinute: values.token_requests_per_minute,
      },
    })
  } catch (error) {
    const draft = refusedDraft(error, given, { '/name': 'name' })
    return refused(draw(visit, draft), draft)
  }
  return { to: `${home}/settings`, done: 'Your changes are saved.' }
}

/** The fields as they stand now. */
function valuesOf({ name, settings }: OrganizationRow) {
  const text = (number: number | null) => (number === null ? '' : String(number))
  return {
    name,
    rules: [
      ...(settings.requireJti ? ['require_jti'] : []),
      ...(settings.allowGeneratedKeys ? ['allow_generated_keys'] : []),
    ],
    max_key_lifetime_days: text(settings.maxKeyLifetimeDays),
    max_keys_per_account: text(settings.maxKeysPerAccount),
    token_requests_per_minute: text(settings.tokenRequestsPerMinute),
  }
}

function drawFacts({ organization, now }: OrganizationVisit): Html {
  return facts([
    ['Name', organization.name],
    ['Short name', copyable(organization.slug, { label: 'the short name' })],
    ['Id', copyable(organization.id, { label: 'the id' })],
    ['State', drawOrganizationState(organization)],
    ['Created', time(organization.createdAt, now)],
  ])
}

/** The state of an organization in a word. */
export function drawOrganizationState({ status }: Pick<OrganizationRow, 'status'>): Html {
  return status === 'active' ? badge('good', 'active') : badge('off', status)
}

function drawRules(settings: OrganizationSettings): Html {
  const { requireJti, maxKeyLifetimeDays, allowGeneratedKeys, maxKeysPerAccount, tokenRequestsPerMinute } =
    settings
  return facts([
    [
      'Assertions',
      requireJti
        ? 'Each must bear a jti, and so counts once.'
        : 'One without a jti may be used until it expires.',
    ],
    [
      'New keys',
      maxKeyLifetimeDays === null
        ? 'They may be without an end.'
        : `They expire after ${count(maxKeyLifetimeDays, 'day')} at most.`,
    ],
    [
      'Private keys',
      allowGeneratedKeys
        ? 'This server may generate them.'
        : 'They are made elsewhere; only public halves are registered.',
    ],
    ['Keys', `${maxKeysPerAccount} for each account at most.`],
    [
      'Tokens',
      tokenRequestsPerMinute === null
        ? 'Any number for each account.'
        : `${tokenRequestsPerMinute} a minute for each account, unless it has a limit of its own.`,
    ],
  ])
}

function drawApiTokens({ organization, home, formToken }: OrganizationVisit, canManage: boolean): Html {
  const isAllowed = organization.settings.allowApiTokens
  const here = `${home}/settings/api-tokens`
  const act = isAllowed
    ? linkButton('Forbid API tokens…', `${here}/forbid`, 'plain')
    : form({
        action: `${here}/allow`,
        formToken,
        isInline: true,
        content: submit('Allow API tokens', 'plain'),
      })
  return section('API tokens', canManage && html`<div class="button-row">${act}</div>`, {
    purpose: isAllowed
      ? 'Allowed: one secret instead of a key pair, for programs that cannot sign. Whoever sees it can use it.'
      : 'Forbidden: none can be made, and those that there are do not work.',
  })
}

async function drawSingleSignOn(visit: OrganizationVisit): Promise<Html> {
  const provider = await findProvider(visit)
  const here = `${visit.home}/settings/single-sign-on`
  const canManage = may(visit, 'organizations:manage')
  const label = provider === undefined ? 'Set up single sign-on' : 'Open'
  return section(
    'Single sign-on',
    (canManage || provider !== undefined) &&
      html`<div class="button-row">${linkButton(label, here, 'plain')}</div>`,
    {
      purpose:
        provider === undefined
          ? 'Administrators sign in with a password here. They can use your OpenID provider instead.'
          : html`Administrators can sign in by <code>${provider.issuer}</code>.`,
    },
  )
}

function drawEnd(visit: OrganizationVisit): Html {
  const { organization, home } = visit
  const here = `${home}/settings`
  if (organization.isOperator) {
    return section(endingsTitle(), undefined, {
      purpose: 'This is the organization that operates the platform. It cannot be disabled or deleted.',
    })
  }
  return endings(visit, {
    here,
    isDisabled: organization.status !== 'active',
    purpose: `For operators alone. ${TOKENS_END}`,
  })
}

function draw({ organization, home, formToken }: OrganizationVisit, draft: Draft): Page {
  const back = `${home}/settings`
  return {
    title: 'Edit settings',
    content: html`${pageHeader({
      title: 'Edit settings',
      purpose: html`Rules for every account. The short name <code>${organization.slug}</code> stays.`,
      above: { label: 'Settings', to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${back}/edit`,
  formToken,
  content: html`${seenField(organization.updatedAt)}${textField(draft, { name: 'name', label: 'Name' })}
${textField(draft, {
  name: 'max_key_lifetime_days',
  label: 'Longest life of a new key, in days',
  type: 'number',
  inputmode: 'numeric',
  isOptional: true,
  help: 'Empty for no limit. Keys that there are stay as they are.',
})}
${textField(draft, {
  name: 'max_keys_per_account',
  label: 'Keys of each account',
  type: 'number',
  inputmode: 'numeric',
  help: 'At most so many that are not deleted, from 1 to 100.',
})}
${textField(draft, {
  name: 'token_requests_per_minute',
  label: 'Tokens of each account in a minute',
  type: 'number',
  inputmode: 'numeric',
  isOptional: true,
  help: 'Empty for any number. An account may have a limit of its own.',
})}
${optionList(draft, {
  name: 'rules',
  label: 'Keys and assertions',
  kind: 'checkbox',
  options: [
    {
      value: 'require_jti',
      label: 'Every assertion must bear a jti',
      help: 'It then counts once. Programs that leave it out get no tokens from the moment on that you save this.',
    },
    {
      value: 'allow_generated_keys',
      label: 'This server may generate private keys',
      help: 'Untick it where private keys must never leave the machine that uses them.',
    },
  ],
})}
${actions(submit('Save changes'), { label: 'Cancel', to: back })}`,
})}`,
  }
}
