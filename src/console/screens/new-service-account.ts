import { readGrantJudge } from '../../directory/granting.ts'
import { listRoles } from '../../directory/roles.ts'
import { createServiceAccount as create } from '../../directory/service-accounts.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft, ticked } from '../forms.ts'
import { html } from '../html.ts'
import { ACCOUNT_FIELDS, accountFields } from '../parts/account-fields.ts'
import { apiDisclosure } from '../parts/api.ts'
import { actions, faultSummary, form, type Option, optionList, submit } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'

const FIELDS = { ...ACCOUNT_FIELDS, role_ids: ticked() }
/** Roles that are offered; there are seldom more. */
const MAX_ROLES = 200

export async function showNewServiceAccount(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, freshDraft()) }
}

/** Creates an account that may do what its roles say, and nothing without one. */
export async function createServiceAccount(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, form } = visit
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { name, description, owner_contact, role_ids } = read.values
  try {
    const { account } = await create(services, actor, organization.id, {
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
      initialKey: undefined,
    })
    return { to: `${home}/service-accounts/${account.id}`, done: `${account.name} is created.` }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await draw(visit, draft), draft)
  }
}

async function draw(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, organization, home, formToken } = visit
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
  content: html`${accountFields(draft)}
  ${optionList(draft, {
    name: 'role_ids',
    label: 'Roles',
    help: 'What it may do here. You can change this at any time.',
    kind: 'checkbox',
    options: await readRoleOptions(visit),
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

/** The roles there are. One that allows more than the person has is there, and says why it cannot be chosen. */
export async function readRoleOptions({
  services,
  actor,
  organization,
}: OrganizationVisit): Promise<Option[]> {
  const [{ items }, judge] = await Promise.all([
    listRoles(services, actor, organization.id, { limit: MAX_ROLES, cursor: undefined }),
    readGrantJudge(services.db, actor),
  ])
  // The least first.
  const sorted = items.toSorted((one, other) => one.permissions.length - other.permissions.length)
  return sorted.map(({ id, name, description, permissions }) => {
    const isDisabled = !permissions.every(judge.permission)
    return {
      value: id,
      label: name,
      help: isDisabled ? 'It allows more than you may do yourself.' : description,
      isDisabled,
    }
  })
}
