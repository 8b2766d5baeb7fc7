import { getKey, revokeKey, updateKey } from '../../directory/keys.ts'
import { getLiveTokenCount } from '../../directory/service-account-health.ts'
import { type Draft, freshDraft, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { dangerPage } from '../parts/danger.ts'
import { ownTokensStop } from '../parts/live-tokens.ts'
import { lastUse } from '../parts/time.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { accountPath } from './service-account.ts'

export async function askToDisableKey(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, 'disable', freshDraft()) }
}

/** Ends the key's tokens; enabling it again does not bring them back. */
export async function disableKey(visit: OrganizationVisit): Promise<Reply> {
  try {
    return await setStatus(visit, 'disabled', 'is disabled. Its live tokens have ended.')
  } catch (error) {
    const draft = refusedDraft(error, visit.form)
    return refused(await draw(visit, 'disable', draft), draft)
  }
}

export async function enableKey(visit: OrganizationVisit): Promise<Reply> {
  return setStatus(visit, 'active', 'is active again.')
}

export async function askToDeleteKey(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, 'delete', freshDraft()) }
}

/** Revokes the key for good. */
export async function deleteKey(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home, params } = visit
  const path = accountPath(visit)
  const key = await getKey(services, actor, path, params.key as string)
  await revokeKey(services, actor, path, key.id)
  return { to: `${home}/service-accounts/${key.accountId}/keys`, done: `${key.name} is deleted.` }
}

async function setStatus(
  visit: OrganizationVisit,
  status: 'active' | 'disabled',
  done: string,
): Promise<Reply> {
  const { services, actor, home, params } = visit
  const patch = { name: undefined, status, expiresAt: undefined }
  const key = await updateKey(services, actor, accountPath(visit), params.key as string, patch)
  return { to: `${home}/service-accounts/${key.accountId}/keys/${key.id}`, done: `${key.name} ${done}` }
}

async function draw(visit: OrganizationVisit, act: 'disable' | 'delete', draft: Draft): Promise<Page> {
  const { services, actor, home, params, formToken, now } = visit
  const path = accountPath(visit)
  const key = await getKey(services, actor, path, params.key as string)
  const live = await getLiveTokenCount(services, actor, path, key.id)
  const here = `${home}/service-accounts/${key.accountId}/keys/${key.id}`
  const words =
    act === 'disable'
      ? { title: 'Disable key', act: 'Disable key', keep: 'Keep it active' }
      : { title: 'Delete key', act: 'Delete key', keep: 'Keep it' }
  return {
    title: words.title,
    content: dangerPage({
      title: html`${act === 'disable' ? 'Disable' : 'Delete'} ${key.name}?`,
      consequences: [
        `${ownTokensStop(live)} ${lastUse(key, now)}`,
        act === 'disable'
          ? 'Whoever signs with it gets no new tokens until you enable it again.'
          : 'Whoever signs with it gets no new tokens, ever. It cannot be brought back; the audit trail keeps what it did.',
      ],
      act: words.act,
      action: `${here}/${act}`,
      formToken,
      back: { label: words.keep, to: here },
      draft,
    }),
  }
}
