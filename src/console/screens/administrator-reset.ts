import type { Administrator } from '../../database/queries/administrators.ts'
import { countSessions } from '../../directory/administrator-sessions.ts'
import { inviteAgain } from '../../directory/invitations.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft, ticked } from '../forms.ts'
import { html } from '../html.ts'
import { isFirstSending, onceField, sentBefore } from '../once.ts'
import { closedPage, dangerPage } from '../parts/danger.ts'
import { invitationLinkPage } from '../parts/invitation-link.ts'
import { count } from '../parts/time.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { administratorPath, readAdministrator } from './administrator.ts'
import { isSelf } from './administrators.ts'
import { REMEDY } from './new-administrator.ts'

const FIELDS = { remove_second_factor: ticked() }

export async function askToReset(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, await readAdministrator(visit), freshDraft()) }
}

/**
 * Makes a new link and shows it in this answer alone. What somebody has signed in with until then is gone; the second
 * factor stays unless it is lost.
 */
export async function resetAdministrator(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home, form } = visit
  const administrator = await readAdministrator(visit)
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(await draw(visit, administrator, read.draft), read.draft)
  const here = `${home}/administrators/${administrator.id}`
  if (!(await isFirstSending(visit)))
    return sentBefore({ label: 'Go to the administrator', to: here }, REMEDY)
  const request = { removeSecondFactor: read.values.remove_second_factor.length > 0 }
  try {
    const { invitation } = await inviteAgain(services, actor, administratorPath(visit), request)
    return { page: invitationLinkPage(administrator.name, invitation, here) }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await draw(visit, administrator, draft), draft)
  }
}

async function draw(visit: OrganizationVisit, administrator: Administrator, draft: Draft): Promise<Page> {
  const { services, actor, home, formToken, now } = visit
  const { id, name, status, hasSecondFactor } = administrator
  const here = `${home}/administrators/${id}`
  const isInvited = status === 'invited'
  const title = isInvited ? 'New invitation link' : 'Reset sign-in'
  if (status === 'disabled') {
    return {
      title,
      content: closedPage({
        title: `${name} is disabled`,
        reason: 'A link would let nobody in. Enable them first.',
        back: { label: 'Back to the administrator', to: here },
      }),
    }
  }
  const sessions = await countSessions(services, actor, administratorPath(visit))
  return {
    title,
    content: dangerPage({
      title: isInvited ? `Make a new link for ${name}?` : `Reset how ${name} signs in?`,
      consequences: [
        ...(isInvited ? ['The link that they have stops working now.'] : drawLosses(administrator, sessions)),
        `Whoever opens the new link becomes ${name}, with all that they may do. You need all of that yourself.`,
        ...(isSelf(visit, administrator)
          ? ['This is you: you are signed out, and only the link lets you in again.']
          : []),
      ],
      act: isInvited ? 'Make a new link' : 'Reset sign-in',
      action: `${here}/reset`,
      formToken,
      back: { label: isInvited ? 'Keep the link' : 'Keep it as it is', to: here },
      draft,
      fields: html`${onceField(now)}${
        hasSecondFactor &&
        html`<label class="option alone"><input type="checkbox" name="remove_second_factor" value="yes"${draft.values('remove_second_factor').length > 0 && html` checked`}>
    <span><span class="option-label">Remove the second factor, too</span><span class="help">For who has lost the authenticator and the recovery codes. Make sure that it is them who ask.</span></span></label>`
      }`,
    }),
  }
}

function drawLosses({ hasPassword, isLinked, hasSecondFactor }: Administrator, sessions: number): string[] {
  return [
    sessions === 0
      ? 'They are signed in nowhere now.'
      : `${count(sessions, 'session')} ${sessions === 1 ? 'ends' : 'end'} now.`,
    ...(hasPassword ? ['Their password stops working now.'] : []),
    ...(isLinked
      ? ['What ties them to the identity provider is cut; it is found again by their address.']
      : []),
    ...(hasSecondFactor ? ['Their second factor stays, unless you remove it below.'] : []),
  ]
}
