import { createHmac, timingSafeEqual } from 'node:crypto'
import { Refusal } from '../errors.ts'
import { type Form, findOne } from '../http/form.ts'

/** The name under which every form bears its token. */
export const FORM_TOKEN = 'form_token'

/**
 * What a form of ours bears and no other site can know: made from a secret that only this browser has, the
 * session's where somebody is signed in. Nothing is stored, and it ends with the session. Pages are not
 * compressed with what others choose while it is in them: another site's requests do not bear the cookie, so
 * that there is no page to measure. Pure.
 */
export function formTokenOf(browserSecret: string): string {
  return createHmac('sha256', browserSecret).update('console form').digest('base64url')
}

/** Throws Refusal `form_token_invalid` for a form that is not ours, or not of this session. */
export function requireFormToken(form: Form, expected: string): void {
  const given = Buffer.from(findOne(form, FORM_TOKEN) ?? '')
  const wanted = Buffer.from(expected)
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return
  throw new Refusal('form_token_invalid', { fact: given.length === 0 ? 'absent' : 'of another session' })
}
