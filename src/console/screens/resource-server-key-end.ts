import { revokeResourceServerKey, updateResourceServerKey } from '../../directory/resource-server-keys.ts'
import { getCredentialCount } from '../../directory/resource-server-use.ts'
import { type Draft, freshDraft, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { dangerPage } from '../parts/danger.ts'
import { lastUse } from '../parts/time.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'
import { homeOfServer } from './resource-server.ts'
import { readServerKey } from './resource-server-keys.ts'
import { describeRest } from './resource-server-secrets.ts'

export async function askToDisableServerKey(visit: SessionVisit): Promise<Reply> {
  return { page: await draw(visit, 'disable', freshDraft()) }
}

export async function disableServerKey(visit: SessionVisit): Promise<Reply> {
  try {
    return await setStatus(visit, 'disabled', 'is disabled.')
  } catch (error) {
    const draft = refusedDraft(error, visit.form)
    return refused(await draw(visit, 'disable', draft), draft)
  }
}

export function enableServerKey(visit: SessionVisit): Promise<Reply> {
  return setStatus(visit, 'active', 'is active again.')
}

export async function askToDeleteServerKey(visit: SessionVisit): Promise<Reply> {
  return { page: await draw(visit, 'delete', freshDraft()) }
}

/** Revokes the key for good. */
export async function deleteServerKey(visit: SessionVisit): Promise<Reply> {
  const { services, actor } = visit
  const { server, key } = await readServerKey(visit)
  await revokeResourceServerKey(services, actor, server.id, key.id)
  return { to: `${homeOfServer(visit, server)}/credentials`, done: `${key.name} is deleted.` }
}

async function setStatus(visit: SessionVisit, status: 'active' | 'disabled', done: string): Promise<Reply> {
  const { services, actor } = visit
  const { server, key } = await readServerKey(visit)
  const patch = { name: undefined, status, expiresAt: undefined }
  await updateResourceServerKey(services, actor, server.id, key.id, patch)
  return { to: `${homeOfServer(visit, server)}/keys/${key.id}`, done: `${key.name} ${done}` }
}

async function draw(visit: SessionVisit, act: 'disable' | 'delete', draft: Draft): Promise<Page> {
  const { services, actor, formToken, now } = visit
  const { server, key } = await readServerKey(visit)
  const { secrets, keys } = await getCredentialCount(services, actor, server.id)
  const here = `${homeOfServer(visit, server)}/keys/${key.id}`
  const works = key.status === 'active' && (key.expiresAt === null || key.expiresAt.getTime() > now)
  return {
    title: act === 'disable' ? 'Disable key' : 'Delete key',
    content: dangerPage({
      title: html`${act === 'disable' ? 'Disable' : 'Delete'} ${key.name}?`,
      consequences: [
        `${lastUse(key, now)} Whoever asks with it is refused ${act === 'disable' ? 'until you enable it again' : 'from now on'}.`,
        describeRest(server.name, { secrets, keys: works ? keys - 1 : keys }),
        ...(act === 'delete' ? ['It cannot be brought back; the audit trail keeps what it was.'] : []),
      ],
      act: act === 'disable' ? 'Disable key' : 'Delete key',
      action: `${here}/${act}`,
      formToken,
      back: { label: act === 'disable' ? 'Keep it active' : 'Keep it', to: here },
      draft,
    }),
  }
}
