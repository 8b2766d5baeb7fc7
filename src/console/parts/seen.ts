import { type Form, findOne } from '../../http/form.ts'
import { type Draft, freshDraft } from '../forms.ts'
import { type Html, html } from '../html.ts'

/** The name under which a form bears when its object was last changed. */
export const SEEN = 'seen'

/**
 * Bears when an object was last changed before its form was drawn: a form that sends whole lists, or several rules at
 * once, would undo what somebody else has changed since. Stands within the form.
 */
export function seenField(updatedAt: Date): Html {
  return html`<input type="hidden" name="${SEEN}" value="${updatedAt.toISOString()}">`
}

/** Whether the object has been changed since the form was drawn. */
export function isOutdated(form: Form, updatedAt: Date): boolean {
  const seen = findOne(form, SEEN)
  return seen !== undefined && seen !== updatedAt.toISOString()
}

/** The form once more, with what is there now. */
export function outdatedDraft(initial: Parameters<typeof freshDraft>[0]): Draft {
  return {
    ...freshDraft(initial),
    problem: {
      status: 409,
      title: 'This was changed meanwhile',
      text: 'Nothing of yours is saved. Below is how it is now: look at it, and change it once more.',
    },
  }
}
