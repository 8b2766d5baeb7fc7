import { createHash, randomBytes } from 'node:crypto'
import { claimUse } from '../database/queries/used-jtis.ts'
import { type Html, html } from './html.ts'
import { linkButton, pageHeader } from './parts/page-header.ts'
import type { Reply, SessionVisit } from './visit.ts'

/** The name under which a form that may be sent once bears what makes it one. */
export const ONCE = 'once'
/** How long such a form may stay open before it is sent. */
const OPEN_SECONDS = 12 * 3_600

/**
 * Makes a form good for one sending: what answers it bears a secret, and a reload would make and show another one.
 * Stands within the form.
 */
export function onceField(now: number): Html {
  const expiresAt = Math.floor(now / 1000) + OPEN_SECONDS
  return html`<input type="hidden" name="${ONCE}" value="${expiresAt}.${randomBytes(16).toString('base64url')}">`
}

/** Whether this form is sent for the first time, on whatever node. Claims it. */
export async function isFirstSending({ services, session, form, now }: SessionVisit): Promise<boolean> {
  const [value = ''] = form.get(ONCE) ?? []
  const expiresAt = Number(/^(\d{10})\.[\w-]{22}$/.exec(value)?.[1] ?? 0) * 1000
  if (expiresAt <= now || expiresAt > now + OPEN_SECONDS * 1000) return false
  const digest = createHash('sha256').update(value).digest()
  return claimUse(services.db, { owner: session.record.id, digest, expiresAt })
}

/** What a reload of a page with a secret shows instead of it. `remedy` is for who has not stored the secret. */
export function sentBefore(
  back: { label: string; to: string },
  remedy = 'If you have not stored it, delete the key and make another one.',
): Reply {
  return {
    status: 409,
    page: {
      title: 'Sent before',
      content: html`${pageHeader({
        title: 'This form was sent before',
        purpose: `What it made was shown then, once, and is not shown again. ${remedy}`,
      })}
<p>${linkButton(back.label, back.to)}</p>`,
    },
  }
}
