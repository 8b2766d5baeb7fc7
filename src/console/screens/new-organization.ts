import { z } from 'zod'
import { createOrganization as create } from '../../directory/organizations.ts'
import { type Draft, freshDraft, line, readForm, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'

const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const FIELDS = {
  name: line({ max: 200, required: 'Give the organization a name.' }),
  slug: line({ max: 63, required: 'Give the organization a short name.' }).pipe(
    z
      .string()
      .regex(SLUG, 'A short name has lower-case letters, digits and inner hyphens, such as acme-labs.'),
  ),
}

export function showNewOrganization(visit: SessionVisit): Reply {
  return { page: draw(visit, freshDraft()) }
}

/** Creates a tenant, with the settings that are usual; they can be changed there. */
export async function createOrganization(visit: SessionVisit): Promise<Reply> {
  const { services, actor, root, form: given } = visit
  const read = readForm(given, FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft), read.draft)
  try {
    const { name, slug } = await create(services, actor, { ...read.values, settings: {} })
    return {
      to: `${root}/organizations/${slug}/settings`,
      done: `${name} is created, and you are in it now.`,
    }
  } catch (error) {
    const draft = refusedDraft(error, given, { '/name': 'name', '/slug': 'slug' })
    return refused(draw(visit, draft), draft)
  }
}

function draw({ services, root, formToken }: SessionVisit, draft: Draft): Page {
  const back = `${root}/organizations`
  const host = new URL(services.issuer).hostname
  return {
    title: 'New organization',
    content: html`${pageHeader({
      title: 'New organization',
      purpose:
        'A tenant with its own accounts, roles, groups and audit trail. Nobody of another organization learns that it exists.',
      above: { label: 'Organizations', to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${back}/new`,
  formToken,
  content: html`${textField(draft, { name: 'name', label: 'Name', help: 'What people call it. It can be changed.', hasFocus: true })}
${textField(draft, {
  name: 'slug',
  label: 'Short name',
  isMono: true,
  help: html`Stands in addresses and key files, and in the emails of service accounts, such as <code>billing-sync@acme.${host}</code>. It never changes.`,
})}
${actions(submit('Create organization'), { label: 'Cancel', to: back })}`,
})}
${apiDisclosure(services.issuer, [
  {
    title: 'Create an organization',
    method: 'POST',
    path: '/organizations',
    body: { slug: draft.value('slug') || 'acme', name: draft.value('name') || 'Acme' },
  },
])}`,
  }
}
