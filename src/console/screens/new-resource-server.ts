import { DEFAULT_TOKENS } from '../../directory/defaults.ts'
import { createResourceServerSecret } from '../../directory/resource-server-secrets.ts'
import { createResourceServer as create } from '../../directory/resource-servers.ts'
import {
  type Draft,
  freshDraft,
  lines,
  readForm,
  refused,
  refusedDraft,
  ticked,
  uriLine,
  withFault,
} from '../forms.ts'
import { html } from '../html.ts'
import { isFirstSending, onceField, sentBefore } from '../once.ts'
import { apiDisclosure } from '../parts/api.ts'
import { actions, faultSummary, form, optionList, submit, textArea, textField } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import {
  nameField,
  RESOURCE_SERVER_FAULTS,
  RESOURCE_SERVER_FIELDS,
  readPermissions,
  resourceServerValues,
  tokenFields,
} from '../parts/resource-server-fields.ts'
import { handoverPage } from '../parts/shown-once.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'
import { secretHandover } from './resource-server-secrets.ts'
import { NEW_RESOURCE_SERVER } from './resource-servers.ts'

const FIELDS = {
  ...RESOURCE_SERVER_FIELDS,
  identifier: uriLine({ required: 'Give the address of the API.', example: 'https://invoices.example.com' }),
  permissions: lines({ max: 60_000 }),
  first_secret: ticked(),
}

export function showNewResourceServer(visit: SessionVisit): Reply {
  const defaults = resourceServerValues({ name: '', ...DEFAULT_TOKENS })
  return { page: draw(visit, freshDraft({ ...defaults, first_secret: 'yes' })) }
}

/** Registers an API. With a first secret the answer is the page that shows it. */
export async function createResourceServer(visit: SessionVisit): Promise<Reply> {
  const { services, actor, root, form: given } = visit
  const read = readForm(given, FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft), read.draft)
  const { values } = read
  const defined = readPermissions(values.permissions)
  if ('fault' in defined) {
    const draft = withFault(given, { field: 'permissions', text: defined.fault })
    return refused(draw(visit, draft), draft)
  }
  const above = `${root}/resource-servers`
  const hasSecret = values.first_secret.length > 0
  if (hasSecret && !(await isFirstSending(visit))) {
    return sentBefore({ label: 'Go to the resource servers', to: above })
  }
  try {
    const server = await create(services, actor, {
      identifier: values.identifier,
      name: values.name,
      tokenFormat: values.token_format,
      signingAlgorithm: values.signing_algorithm,
      introspectionSigningAlgorithm: values.introspection_signing_algorithm,
      tokenLifetimeSeconds: values.token_lifetime_seconds,
      senderConstraints: [...new Set(values.sender_constraints)],
      permissions: defined.permissions,
    })
    const here = `${above}/${server.id}`
    if (!hasSecret) return { to: here, done: `${server.name} is registered.` }
    const { secret } = await createResourceServerSecret(services, actor, server.id, { name: undefined })
    return { page: handoverPage(secretHandover(services.issuer, server.id, secret), here) }
  } catch (error) {
    const draft = refusedDraft(error, given, {
      ...RESOURCE_SERVER_FAULTS,
      ...faultsOf(defined.permissions.length),
    })
    return refused(draw(visit, draft), draft)
  }
}

/** Every permission stands in the one field. */
function faultsOf(permissions: number): Record<string, string> {
  const members = ['name', 'description']
  const pointers = Array.from({ length: permissions }, (_, index) =>
    members.map((member) => [`/permissions/${index}/${member}`, 'permissions']),
  )
  return Object.fromEntries(pointers.flat())
}

function draw({ services, root, formToken, now }: SessionVisit, draft: Draft): Page {
  const back = `${root}/resource-servers`
  return {
    title: 'New resource server',
    content: html`${pageHeader({
      title: 'New resource server',
      purpose: 'An API of yours, once for all organizations. Tokens are for one resource server each.',
      above: { label: 'Resource servers', to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${back}/new`,
  formToken,
  content: html`${onceField(now)}${nameField(draft)}
${textField(draft, {
  name: 'identifier',
  label: 'Identifier',
  isMono: true,
  help: 'The audience of its tokens: an absolute URI, usually the address of the API, such as https://invoices.example.com. It is compared character by character and never changes.',
})}
${textArea(draft, {
  name: 'permissions',
  label: 'Permissions',
  isOptional: true,
  isMono: true,
  rows: 4,
  help: html`One on each line: its name, then what it allows, such as <code>invoices:read Read invoices</code>. You can change them later.`,
})}
${optionList(draft, {
  name: 'first_secret',
  label: 'First secret',
  kind: 'checkbox',
  options: [
    {
      value: 'yes',
      label: 'Make a secret for introspection',
      help: 'It is in the next page, once. Without it, register a public key of the API later.',
    },
  ],
})}
${tokenFields(draft, { isNew: true })}
${actions(submit('Register resource server'), { label: 'Cancel', to: back })}`,
})}
${apiDisclosure(services.issuer, [{ title: 'Register a resource server', ...NEW_RESOURCE_SERVER }])}`,
  }
}
