import type { ResourceServer } from '../../database/queries/resource-servers.ts'
import { updateResourceServer } from '../../directory/resource-servers.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { actions, faultSummary, form, submit } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import {
  nameField,
  RESOURCE_SERVER_FAULTS,
  RESOURCE_SERVER_FIELDS,
  resourceServerValues,
  tokenFields,
} from '../parts/resource-server-fields.ts'
import { isOutdated, outdatedDraft, seenField } from '../parts/seen.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'
import { homeOfServer, readServer } from './resource-server.ts'

export async function editResourceServer(visit: SessionVisit): Promise<Reply> {
  const server = await readServer(visit)
  return { page: draw(visit, server, freshDraft(resourceServerValues(server))) }
}

export async function saveResourceServer(visit: SessionVisit): Promise<Reply> {
  const { services, actor, form: given } = visit
  const server = await readServer(visit)
  if (isOutdated(given, server.updatedAt)) {
    const draft = outdatedDraft(resourceServerValues(server))
    return refused(draw(visit, server, draft), draft)
  }
  const read = readForm(given, RESOURCE_SERVER_FIELDS)
  if ('draft' in read) return refused(draw(visit, server, read.draft), read.draft)
  const { values } = read
  try {
    await updateResourceServer(services, actor, server.id, {
      name: values.name,
      tokenFormat: values.token_format,
      signingAlgorithm: values.signing_algorithm,
      introspectionSigningAlgorithm: values.introspection_signing_algorithm,
      tokenLifetimeSeconds: values.token_lifetime_seconds,
      senderConstraints: [...new Set(values.sender_constraints)],
      permissions: undefined,
    })
  } catch (error) {
    const draft = refusedDraft(error, given, RESOURCE_SERVER_FAULTS)
    return refused(draw(visit, server, draft), draft)
  }
  return { to: homeOfServer(visit, server), done: 'Your changes are saved.' }
}

function draw(visit: SessionVisit, server: ResourceServer, draft: Draft): Page {
  const back = homeOfServer(visit, server)
  return {
    title: 'Edit resource server',
    content: html`${pageHeader({
      title: 'Edit resource server',
      purpose: html`Its name and how its tokens are. The identifier <code>${server.identifier}</code> stays.`,
      above: { label: server.name, to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${back}/edit`,
  formToken: visit.formToken,
  content: html`${seenField(server.updatedAt)}${nameField(draft)}${tokenFields(draft, { isNew: false })}
${actions(submit('Save changes'), { label: 'Cancel', to: back })}`,
})}`,
  }
}
