import { getOrganizationUse } from '../../directory/organization-use.ts'
import { deleteOrganization as end, updateOrganization } from '../../directory/organizations.ts'
import { type Draft, freshDraft, line, readForm, refused, refusedDraft, withFault } from '../forms.ts'
import { html } from '../html.ts'
import { dangerPage } from '../parts/danger.ts'
import { textField } from '../parts/form.ts'
import { stopsNow } from '../parts/live-tokens.ts'
import { count } from '../parts/time.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { NO_ORGANIZATION_CHANGE } from './organization-settings.ts'

export async function askToForbidApiTokens(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, formToken } = visit
  const { apiTokens } = await getOrganizationUse(services, actor, organization.id)
  const back = `${home}/settings`
  return {
    page: {
      title: 'Forbid API tokens',
      content: dangerPage({
        title: 'Forbid API tokens?',
        consequences: [
          apiTokens === 0
            ? 'No account has one.'
            : `${count(apiTokens, 'API token')} ${apiTokens === 1 ? 'stops' : 'stop'} working now, with every access token that ${apiTokens === 1 ? 'it has' : 'they have'} obtained.`,
          'None can be made. Programs need a key pair instead.',
          'If you allow them again, those that were not deleted work again; the access tokens have ended for good.',
        ],
        act: 'Forbid API tokens',
        action: `${back}/api-tokens/forbid`,
        formToken,
        back: { label: 'Leave them', to: back },
      }),
    },
  }
}

export function forbidApiTokens(visit: OrganizationVisit): Promise<Reply> {
  return setApiTokens(visit, false, 'API tokens are forbidden.')
}

export function allowApiTokens(visit: OrganizationVisit): Promise<Reply> {
  return setApiTokens(visit, true, 'API tokens are allowed again.')
}

export async function askToDisableOrganization(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawDisable(visit, freshDraft()) }
}

export async function disableOrganization(visit: OrganizationVisit): Promise<Reply> {
  try {
    return await setStatus(visit, 'disabled', 'is disabled. Its live tokens have ended.')
  } catch (error) {
    const draft = refusedDraft(error, visit.form)
    return refused(await drawDisable(visit, draft), draft)
  }
}

export function enableOrganization(visit: OrganizationVisit): Promise<Reply> {
  return setStatus(visit, 'active', 'is active again.')
}

export async function askToDeleteOrganization(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawDelete(visit, freshDraft()) }
}

/** Ends an organization with everything in it, once its short name was typed. */
export async function deleteOrganization(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, root, form } = visit
  const read = readForm(form, { confirmation: line({ max: 63 }) })
  if ('draft' in read) return refused(await drawDelete(visit, read.draft), read.draft)
  const typed = read.values.confirmation
  if (typed !== organization.slug) {
    const draft = withFault(form, {
      field: 'confirmation',
      text: `This is not the short name ${organization.slug}.`,
    })
    return refused(await drawDelete(visit, draft), draft)
  }
  try {
    await end(services, actor, organization.id, typed)
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await drawDelete(visit, draft), draft)
  }
  return { to: `${root}/organizations`, done: `${organization.name} is deleted.` }
}

async function setApiTokens(visit: OrganizationVisit, allowApiTokens: boolean, done: string): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const patch = { ...NO_ORGANIZATION_CHANGE, settings: { allowApiTokens } }
  await updateOrganization(services, actor, organization.id, patch)
  return { to: `${home}/settings`, done }
}

async function setStatus(
  visit: OrganizationVisit,
  status: 'active' | 'disabled',
  done: string,
): Promise<Reply> {
  const { services, actor, organization, home } = visit
  await updateOrganization(services, actor, organization.id, { ...NO_ORGANIZATION_CHANGE, status })
  return { to: `${home}/settings`, done: `${organization.name} ${done}` }
}

async function drawDisable(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { organization, home, formToken } = visit
  const { tokens, serviceAccounts, administrators } = await readConsequences(visit)
  const back = `${home}/settings`
  return {
    title: 'Disable organization',
    content: dangerPage({
      title: html`Disable ${organization.name}?`,
      consequences: [
        tokens,
        `${serviceAccounts} and ${administrators} cannot act until you enable it again; nobody of it can sign in.`,
        'Nothing is deleted. Operators see it all the while.',
      ],
      act: 'Disable organization',
      action: `${back}/disable`,
      formToken,
      back: { label: 'Keep it active', to: back },
      draft,
    }),
  }
}

async function drawDelete(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { organization, home, formToken } = visit
  const { tokens, serviceAccounts, administrators, keys } = await readConsequences(visit)
  const back = `${home}/settings`
  return {
    title: 'Delete organization',
    content: dangerPage({
      title: html`Delete ${organization.name}?`,
      consequences: [
        tokens,
        `${serviceAccounts}, ${administrators} and ${keys} are deleted for good, with roles, groups and single sign-on.`,
        'It cannot be brought back. Operators can still read its audit trail.',
      ],
      act: 'Delete organization',
      action: `${back}/delete`,
      formToken,
      back: { label: 'Keep it', to: back },
      draft,
      fields: textField(draft, {
        name: 'confirmation',
        label: 'Short name of the organization',
        isMono: true,
        help: html`Type <code>${organization.slug}</code> to say that you mean this one.`,
      }),
    }),
  }
}

/** What stops, in figures. */
async function readConsequences({ services, actor, organization }: OrganizationVisit) {
  const use = await getOrganizationUse(services, actor, organization.id)
  return {
    tokens: stopsNow(use.live, 'None of its accounts has a live token now.'),
    serviceAccounts: count(use.serviceAccounts, 'service account'),
    administrators: count(use.administrators, 'administrator'),
    keys: count(use.keys, 'key'),
  }
}
