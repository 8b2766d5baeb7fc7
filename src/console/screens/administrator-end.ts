import type { Administrator } from '../../database/queries/administrators.ts'
import { countSessions } from '../../directory/administrator-sessions.ts'
import { deleteAdministrator as remove, updateAdministrator } from '../../directory/administrators.ts'
import { isLastOwner } from '../../directory/ownership.ts'
import { type Draft, freshDraft, refused, refusedDraft } from '../forms.ts'
import { closedPage, dangerPage } from '../parts/danger.ts'
import { count } from '../parts/time.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { administratorPath, LAST_OWNER, NO_CHANGE, readAdministrator } from './administrator.ts'
import { isSelf } from './administrators.ts'

type Act = 'disable' | 'delete'

export async function askToDisableAdministrator(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, 'disable', await readAdministrator(visit), freshDraft()) }
}

/** Ends their sessions; enabled again, they sign in as before. */
export async function disableAdministrator(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home } = visit
  const administrator = await readAdministrator(visit)
  const patch = { ...NO_CHANGE, status: 'disabled' as const }
  try {
    await updateAdministrator(services, actor, administratorPath(visit), patch)
  } catch (error) {
    const draft = refusedDraft(error, visit.form)
    return refused(await draw(visit, 'disable', administrator, draft), draft)
  }
  return (
    leave(visit, administrator, 'Your account is disabled.') ?? {
      to: `${home}/administrators/${administrator.id}`,
      done: `${administrator.name} is disabled and signed out.`,
    }
  )
}

export async function enableAdministrator(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home } = visit
  const patch = { ...NO_CHANGE, status: 'active' as const }
  const { id, name, status } = await updateAdministrator(services, actor, administratorPath(visit), patch)
  return {
    to: `${home}/administrators/${id}`,
    done:
      status === 'active'
        ? `${name} is active again.`
        : `${name} is enabled, and needs a new invitation to choose a password.`,
  }
}

export async function askToDeleteAdministrator(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, 'delete', await readAdministrator(visit), freshDraft()) }
}

export async function deleteAdministrator(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home } = visit
  const administrator = await readAdministrator(visit)
  try {
    await remove(services, actor, administratorPath(visit))
  } catch (error) {
    const draft = refusedDraft(error, visit.form)
    return refused(await draw(visit, 'delete', administrator, draft), draft)
  }
  return (
    leave(visit, administrator, 'Your account is removed.') ?? {
      to: `${home}/administrators`,
      done: `${administrator.name} is removed.`,
    }
  )
}

/** Who has done it to themself has no session any more. */
function leave(visit: OrganizationVisit, administrator: Administrator, done: string): Reply | undefined {
  if (!isSelf(visit, administrator)) return undefined
  return { to: `${visit.root}/sign-in`, session: null, done }
}

async function draw(
  visit: OrganizationVisit,
  act: Act,
  administrator: Administrator,
  draft: Draft,
): Promise<Page> {
  const { services, actor, organization, home, formToken } = visit
  const { id, name } = administrator
  const here = `${home}/administrators/${id}`
  const [isLast, sessions] = await Promise.all([
    isLastOwner(services.db, organization, id),
    countSessions(services, actor, administratorPath(visit)),
  ])
  const words = WORDS[act]
  if (isLast) {
    return {
      title: words.act,
      content: closedPage({
        title: `${name} stays`,
        reason: LAST_OWNER,
        back: { label: 'Back to the administrator', to: here },
      }),
    }
  }
  return {
    title: words.act,
    content: dangerPage({
      title: `${words.verb} ${name}?`,
      consequences: [
        sessions === 0
          ? 'They are signed in nowhere now.'
          : `${count(sessions, 'session')} ${sessions === 1 ? 'ends' : 'end'} now.`,
        ...(administrator.invitationExpiresAt === null ? [] : ['The link that they have stops working.']),
        ...(act === 'disable' ? drawKept(administrator) : drawLosses(administrator)),
        ...(isSelf(visit, administrator) ? ['This is you: you cannot undo it yourself.'] : []),
      ],
      act: words.act,
      action: `${here}/${act}`,
      formToken,
      back: { label: words.keep, to: here },
      draft,
    }),
  }
}

const WORDS = {
  disable: { verb: 'Disable', act: 'Disable administrator', keep: 'Keep them active' },
  delete: { verb: 'Remove', act: 'Remove administrator', keep: 'Keep them' },
} as const

function drawKept({ hasPassword, isLinked }: Administrator): string[] {
  return [
    hasPassword || isLinked
      ? 'They keep roles, groups and how they sign in, and can be enabled again.'
      : 'They keep roles and groups, and can be enabled again; then they need a new invitation.',
  ]
}

function drawLosses({ roleIds, permissions, groupAccess, groupsAdministrator }: Administrator): string[] {
  const losses = [
    ...(roleIds.length > 0 ? [count(roleIds.length, 'role')] : []),
    ...(permissions.length > 0 ? [count(permissions.length, 'direct permission')] : []),
    ...(groupsAdministrator !== null
      ? ['access to all groups']
      : groupAccess.length > 0
        ? [`access to ${count(groupAccess.length, 'group')}`]
        : []),
  ]
  return [
    losses.length === 0
      ? 'They have no role, permission or group to lose.'
      : `They lose ${inOneLine(losses)}.`,
    'Service accounts and keys that they have made go on working.',
    'They cannot be brought back, only invited anew. The audit trail keeps what they did.',
  ]
}

function inOneLine(list: readonly string[]): string {
  return list.length < 2 ? list.join('') : `${list.slice(0, -1).join(', ')} and ${list.at(-1)}`
}
