import { z } from 'zod'
import { type Draft, freshDraft, line } from '../forms.ts'
import { type Html, html } from '../html.ts'
import type { Visit } from '../visit.ts'
import { actions, form, submit, textField } from './form.ts'
import { section } from './page-header.ts'

const DAY_MILLISECONDS = 86_400_000
/** What a new key is offered: long enough to forget, short enough to matter. */
const SUGGESTED_DAYS = 90

/** What every new key is asked for. */
export const KEY_FIELDS = {
  name: line({ max: 100 }),
  expires_on: dateLine(),
}

/** What can be changed of a key. */
export const KEY_SETTINGS = { ...KEY_FIELDS, name: line({ max: 100, required: 'Give the key a name.' }) }

/** The values that a fresh form begins with. `now` in milliseconds; no key may live longer than `maxDays`. */
export function suggestedKey(now: number, maxDays: number | null): { name: string; expires_on: string } {
  const days = Math.min(SUGGESTED_DAYS, (maxDays ?? SUGGESTED_DAYS + 1) - 1)
  return { name: '', expires_on: fromDate(new Date(now + days * DAY_MILLISECONDS)) }
}

export function keyFields(draft: Draft, maxDays: number | null): Html {
  const limit = maxDays === null ? 'Empty means never.' : `At most ${maxDays} days from now.`
  return html`${textField(draft, { name: 'name', label: 'Name', isOptional: true, help: 'Where it is used, such as «Production».', hasFocus: true })}
${textField(draft, { name: 'expires_on', label: 'Expires on', type: 'date', isOptional: true, help: `At the end of that day, in UTC. ${limit}` })}`
}

/** A day, as browsers send it; empty for none. */
function dateLine() {
  return line({ max: 10 }).pipe(
    z.union([z.literal(''), z.iso.date('This is not a day, such as 2027-01-31.')], {
      error: 'This is not a day, such as 2027-01-31.',
    }),
  )
}

/** The end of a day that was given; null without one. */
export function toDate(day: string): Date | null {
  return day === '' ? null : new Date(Date.parse(`${day}T23:59:59Z`))
}

/** The day of a time, as a field holds it. */
function fromDate(at: Date | null): string {
  return at === null ? '' : at.toISOString().slice(0, 10)
}

/** The form of what can be changed, in a section of a key's page. */
export function keySettings(
  { formToken }: Pick<Visit, 'formToken'>,
  options: {
    key: { name: string; expiresAt: Date | null }
    /** What was sent, where it has faults. */
    draft: Draft | undefined
    action: string
  },
): Html {
  const { key, draft, action } = options
  const shown = draft ?? freshDraft({ name: key.name, expires_on: fromDate(key.expiresAt) })
  return section(
    'Name and expiry',
    form({
      action,
      formToken,
      content: html`${textField(shown, { name: 'name', label: 'Name' })}
${textField(shown, { name: 'expires_on', label: 'Expires on', type: 'date', isOptional: true, help: 'At the end of that day, in UTC. Empty means never.' })}
${actions(submit('Save changes'))}`,
    }),
  )
}

/** The expiry that a day asks for. A day is coarser than what is stored: undefined, no change, for one that was not touched. Pure. */
export function changedExpiry(before: Date | null, day: string): Date | null | undefined {
  return fromDate(before) === day ? undefined : toDate(day)
}
