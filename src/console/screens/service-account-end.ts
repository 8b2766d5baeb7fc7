import { getAccountHealth, getLiveTokenCount } from '../../directory/service-account-health.ts'
import { deleteServiceAccount, updateServiceAccount } from '../../directory/service-accounts.ts'
import { type Draft, freshDraft, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { dangerPage } from '../parts/danger.ts'
import { ownTokensStop } from '../parts/live-tokens.ts'
import { count, lastUse } from '../parts/time.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { accountPath, NO_ACCESS_CHANGE } from './service-account.ts'

export async function askToDisable(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawDisable(visit, freshDraft()) }
}

export async function disableAccount(visit: OrganizationVisit): Promise<Reply> {
  try {
    return await setStatus(visit, 'disabled', 'is disabled. Its live tokens have ended.')
  } catch (error) {
    const draft = refusedDraft(error, visit.form)
    return refused(await drawDisable(visit, draft), draft)
  }
}

export function enableAccount(visit: OrganizationVisit): Promise<Reply> {
  return setStatus(visit, 'active', 'is active again.')
}

export async function askToDelete(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawDelete(visit, freshDraft()) }
}

export async function deleteAccount(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home } = visit
  try {
    const { account } = await getAccountHealth(services, actor, accountPath(visit))
    await deleteServiceAccount(services, actor, accountPath(visit))
    return { to: `${home}/service-accounts`, done: `${account.name} is deleted.` }
  } catch (error) {
    const draft = refusedDraft(error, visit.form)
    return refused(await drawDelete(visit, draft), draft)
  }
}

async function setStatus(
  visit: OrganizationVisit,
  status: 'active' | 'disabled',
  done: string,
): Promise<Reply> {
  const { services, actor, home } = visit
  const path = accountPath(visit)
  const account = await updateServiceAccount(services, actor, path, { ...NO_ACCESS_CHANGE, status })
  return { to: `${home}/service-accounts/${account.id}`, done: `${account.name} ${done}` }
}

async function drawDisable(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { name, fact, here, keys } = await readConsequences(visit)
  return {
    title: 'Disable service account',
    content: dangerPage({
      title: html`Disable ${name}?`,
      consequences: [
        fact,
        `${count(keys, 'key')} of it ${keys === 1 ? 'gets' : 'get'} no new tokens until you enable the account again.`,
      ],
      act: 'Disable account',
      action: `${here}/disable`,
      formToken: visit.formToken,
      back: { label: 'Keep it active', to: here },
      draft,
    }),
  }
}

async function drawDelete(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { name, fact, here, keys } = await readConsequences(visit)
  return {
    title: 'Delete service account',
    content: dangerPage({
      title: html`Delete ${name}?`,
      consequences: [
        fact,
        `${count(keys, 'key')} of it ${keys === 1 ? 'stops' : 'stop'} working for good, and its roles and permissions are taken.`,
        'It cannot be brought back. The audit trail keeps what it did.',
      ],
      act: 'Delete account',
      action: `${here}/delete`,
      formToken: visit.formToken,
      back: { label: 'Keep it', to: here },
      draft,
    }),
  }
}

/** What stops, in figures. */
async function readConsequences(visit: OrganizationVisit) {
  const { services, actor, home, now } = visit
  const path = accountPath(visit)
  const [{ account, keys }, live] = await Promise.all([
    getAccountHealth(services, actor, path),
    getLiveTokenCount(services, actor, path),
  ])
  return {
    name: account.name,
    keys: keys.present,
    here: `${home}/service-accounts/${account.id}`,
    fact: `${ownTokensStop(live)} ${lastUse(account, now)}`,
  }
}
