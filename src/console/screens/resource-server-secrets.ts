import type { ResourceServer } from '../../database/queries/resource-servers.ts'
import type { ResourceServerSecretRow } from '../../database/tables.ts'
import {
  createResourceServerSecret as create,
  deleteResourceServerSecret as end,
  getResourceServerSecret,
} from '../../directory/resource-server-secrets.ts'
import { getCredentialCount } from '../../directory/resource-server-use.ts'
import { isId } from '../../ids.ts'
import { type Draft, freshDraft, line, readForm, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { isFirstSending, onceField, sentBefore } from '../once.ts'
import { dangerPage } from '../parts/danger.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import { type Handover, handoverPage } from '../parts/shown-once.ts'
import { count, lastUse } from '../parts/time.ts'
import { readQuery } from '../query.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'
import { homeOfServer, introspectionLine, readServer } from './resource-server.ts'

const FIELDS = { name: line({ max: 200 }) }

/** How a resource server's secret is handed over. */
export function secretHandover(issuer: string, serverId: string, secret: string): Handover {
  return { what: 'the secret', text: secret, use: introspectionLine(issuer, serverId) }
}

export async function showNewSecret(visit: SessionVisit): Promise<Reply> {
  const server = await readServer(visit)
  const former = await findFormer(visit, server)
  return { page: draw(visit, server, former, freshDraft({ name: former?.name ?? '' })) }
}

/** Makes a secret and shows it in this answer alone. */
export async function createSecret(visit: SessionVisit): Promise<Reply> {
  const { services, actor, form: given } = visit
  const server = await readServer(visit)
  const former = await findFormer(visit, server)
  const read = readForm(given, FIELDS)
  if ('draft' in read) return refused(draw(visit, server, former, read.draft), read.draft)
  const above = `${homeOfServer(visit, server)}/credentials`
  if (!(await isFirstSending(visit))) return sentBefore({ label: 'Go to the credentials', to: above })
  try {
    const { name } = read.values
    const { secret } = await create(services, actor, server.id, { name: name === '' ? undefined : name })
    return { page: handoverPage(secretHandover(services.issuer, server.id, secret), above) }
  } catch (error) {
    const draft = refusedDraft(error, given, { '/name': 'name' })
    return refused(draw(visit, server, former, draft), draft)
  }
}

export async function askToDeleteSecret(visit: SessionVisit): Promise<Reply> {
  return { page: await drawDelete(visit) }
}

export async function deleteSecret(visit: SessionVisit): Promise<Reply> {
  const { services, actor } = visit
  const { server, secret } = await readSecret(visit)
  await end(services, actor, server.id, secret.id)
  return { to: `${homeOfServer(visit, server)}/credentials`, done: `${secret.name} is deleted.` }
}

/** The secret whose place the new one is to take; undefined for one that takes nobody's. */
async function findFormer(
  { services, actor, query }: SessionVisit,
  server: ResourceServer,
): Promise<ResourceServerSecretRow | undefined> {
  const id = readQuery(query, 'instead_of')
  if (id === undefined || !isId('rss', id)) return undefined
  return getResourceServerSecret(services, actor, server.id, id)
}

function draw(
  visit: SessionVisit,
  server: ResourceServer,
  former: ResourceServerSecretRow | undefined,
  draft: Draft,
): Page {
  const { formToken, now } = visit
  const here = homeOfServer(visit, server)
  const query = former === undefined ? '' : `?instead_of=${former.id}`
  return {
    title: former === undefined ? 'New secret' : 'Rotate secret',
    content: html`${pageHeader({
      title: former === undefined ? 'New secret' : html`Rotate ${former.name}`,
      purpose:
        former === undefined
          ? 'The secret is in the next page, once. Countersign keeps only its digest.'
          : html`Makes a new secret, in the next page, once. The present one, <code>${former.obfuscated}</code>, works until you delete it.`,
      above: { label: `Credentials of ${server.name}`, to: `${here}/credentials` },
    })}
${faultSummary(draft)}
${form({
  action: `${here}/secrets/new${query}`,
  formToken,
  content: html`${onceField(now)}${textField(draft, { name: 'name', label: 'Name', isOptional: true, help: 'Where it is used, such as «Production». Without one it is named by its date.', hasFocus: true })}
${actions(submit('Make secret'), { label: 'Cancel', to: `${here}/credentials` })}`,
})}`,
  }
}

async function drawDelete(visit: SessionVisit): Promise<Page> {
  const { services, actor, formToken, now } = visit
  const { server, secret } = await readSecret(visit)
  const { secrets, keys } = await getCredentialCount(services, actor, server.id)
  const here = homeOfServer(visit, server)
  return {
    title: 'Delete secret',
    content: dangerPage({
      title: html`Delete ${secret.name}?`,
      consequences: [
        `${lastUse(secret, now)} Whoever asks with it is refused from now on.`,
        describeRest(server.name, { secrets: secrets - 1, keys }),
        'It cannot be brought back.',
      ],
      act: 'Delete secret',
      action: `${here}/secrets/${secret.id}/delete`,
      formToken,
      back: { label: 'Keep it', to: `${here}/credentials` },
    }),
  }
}

/** With what the API can still authenticate. Pure. */
export function describeRest(name: string, { secrets, keys }: { secrets: number; keys: number }): string {
  if (secrets + keys === 0) return `It is the only one: ${name} cannot ask about any token then.`
  const rest = [...(secrets > 0 ? [count(secrets, 'secret')] : []), ...(keys > 0 ? [count(keys, 'key')] : [])]
  return `${name} can still ask with what else it has: ${rest.join(' and ')}.`
}

async function readSecret(
  visit: SessionVisit,
): Promise<{ server: ResourceServer; secret: ResourceServerSecretRow }> {
  const { services, actor, params } = visit
  const server = await readServer(visit)
  const secret = await getResourceServerSecret(services, actor, server.id, params.rss as string)
  return { server, secret }
}
