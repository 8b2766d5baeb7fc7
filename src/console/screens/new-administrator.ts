import { createAdministrator as create } from '../../directory/administrators.ts'
import { type Draft, emailLine, freshDraft, line, readForm, refused, refusedDraft, ticked } from '../forms.ts'
import { html } from '../html.ts'
import { isFirstSending, onceField, sentBefore } from '../once.ts'
import { apiDisclosure } from '../parts/api.ts'
import { actions, faultSummary, form, optionList, submit, textField } from '../parts/form.ts'
import { invitationLinkPage } from '../parts/invitation-link.ts'
import { pageHeader } from '../parts/page-header.ts'
import { readRoleOptions } from '../parts/role-options.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'

const FIELDS = {
  name: line({ max: 200, required: 'Say who it is.' }),
  email: emailLine(),
  role_ids: ticked(),
}

export async function showNewAdministrator(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, freshDraft()) }
}

/** Makes the account and shows the link of its invitation, in this answer alone. */
export async function inviteAdministrator(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, form } = visit
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { name, email, role_ids } = read.values
  const above = `${home}/administrators`
  if (!(await isFirstSending(visit)))
    return sentBefore({ label: 'Go to the administrators', to: above }, REMEDY)
  try {
    const { administrator, invitation } = await create(services, actor, organization.id, {
      name,
      email,
      access: {
        permissions: undefined,
        roleIds: role_ids,
        groupAccess: undefined,
        groupsAdministrator: undefined,
      },
    })
    return { page: invitationLinkPage(name, invitation, `${above}/${administrator.id}`) }
  } catch (error) {
    const draft = refusedDraft(error, form, { '/email': 'email', '/name': 'name' })
    return refused(await draw(visit, draft), draft)
  }
}

/** For who has lost the link. */
export const REMEDY =
  'If you have not handed it over, make a new link on the page of the administrator; the one before stops working.'

async function draw(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, organization, home, formToken, now } = visit
  const above = `${home}/administrators`
  return {
    title: 'Invite administrator',
    content: html`${pageHeader({
      title: 'Invite administrator',
      purpose: 'You get a link to hand over, by which this person, once, chooses a password.',
      above: { label: 'Administrators', to: above },
    })}
${faultSummary(draft)}
${form({
  action: `${above}/new`,
  formToken,
  content: html`${onceField(now)}
${textField(draft, { name: 'name', label: 'Name', hasFocus: true, help: 'As colleagues know them; it stands in the audit trail.' })}
${textField(draft, { name: 'email', label: 'Address', type: 'email', help: 'What they sign in with. It cannot be changed later.' })}
${optionList(draft, {
  name: 'role_ids',
  label: 'Roles',
  help: 'What they may do here. Without one they see only their own security.',
  kind: 'checkbox',
  options: await readRoleOptions(visit),
})}
${actions(submit('Make the invitation'), { label: 'Cancel', to: above })}`,
})}
${apiDisclosure(services.issuer, [
  {
    title: 'Invite somebody',
    method: 'POST',
    path: `/organizations/${organization.id}/administrators`,
    body: {
      name: draft.value('name') || 'Grace Hopper',
      email: draft.value('email') || 'grace@acme.example',
      role_ids: [],
    },
  },
])}`,
  }
}
