import type { Draft } from '../forms.ts'
import { type Content, type Html, html } from '../html.ts'
import { faultSummary, form, submit } from './form.ts'
import { WARNING_ICON } from './icons.ts'

/**
 * The page before something that cannot be undone, or ends what works now: its consequences in figures, a button
 * that names the act, and the way back, which has the focus.
 */
export function dangerPage(options: {
  title: Content
  /** One sentence each, with figures: what stops, for whom, when it was last used. */
  consequences: readonly Content[]
  act: string
  action: string
  formToken: string
  back: { label: string; to: string }
  draft?: Draft
  /** What must be typed to go on: a password, a name. */
  fields?: Content
}): Html {
  const { title, consequences, act, action, formToken, back, draft, fields } = options
  const hasFaults = draft !== undefined && (draft.faults.length > 0 || draft.problem !== undefined)
  return html`<div class="danger-page">
  <h1>${title}</h1>
  ${draft && faultSummary(draft)}
  <div class="consequences">${WARNING_ICON}<ul>${consequences.map((consequence) => html`<li>${consequence}</li>`)}</ul></div>
  ${form({
    action,
    formToken,
    content: html`${fields}<div class="actions"><a class="button plain" href="${back.to}"${!hasFaults && html` autofocus`}>${back.label}</a>${submit(act, 'danger')}</div>`,
  })}
</div>`
}

/** The same page where the act is not possible now: why, what would make it so, and the way back. */
export function closedPage(options: {
  title: Content
  reason: Content
  back: { label: string; to: string }
}): Html {
  const { title, reason, back } = options
  return html`<div class="danger-page">
  <h1>${title}</h1>
  <p>${reason}</p>
  <div class="actions"><a class="button plain" href="${back.to}" autofocus>${back.label}</a></div>
</div>`
}
