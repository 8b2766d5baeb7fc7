import { FORM_TOKEN } from '../form-token.ts'
import type { Draft } from '../forms.ts'
import { type Content, type Html, html, NOTHING } from '../html.ts'

/** A form. Its token is in it: no form is written in any other way. */
export function form(options: {
  action: string
  formToken: string
  content: Content
  /** One row of fields instead of a column. */
  isInline?: boolean
}): Html {
  const { action, formToken, content, isInline } = options
  return html`<form class="${isInline ? 'form-inline' : 'form'}" method="post" action="${action}" novalidate>
  <input type="hidden" name="${FORM_TOKEN}" value="${formToken}">
  ${content}
</form>`
}

/** What is wrong with a form, above it. It takes the focus; each line leads to its field. */
export function faultSummary({ faults, problem }: Draft): Html {
  if (faults.length === 0 && problem === undefined) return NOTHING
  return html`<div class="summary" role="alert" tabindex="-1" autofocus>
  <h2>${problem?.title ?? (faults.length === 1 ? 'One field needs your attention' : `${faults.length} fields need your attention`)}</h2>
  ${problem !== undefined && html`<p>${problem.text}</p>`}
  ${faults.length > 0 && html`<ul>${faults.map(({ field, text }) => html`<li><a href="#${field}">${text}</a></li>`)}</ul>`}
</div>`
}

type TextField = {
  name: string
  label: string
  help?: Content
  type?: 'text' | 'email' | 'password' | 'date' | 'number'
  /** Tells browsers and password managers what it is (HTML, autofill). */
  autocomplete?: string
  inputmode?: 'numeric'
  isOptional?: boolean
  isMono?: boolean
  /** Where the cursor is when the page opens, unless the form has faults. */
  hasFocus?: boolean
}

/** One line of text, with its label above and its help below. */
export function textField(draft: Draft, field: TextField): Html {
  const { name, type = 'text', autocomplete = 'off', inputmode, isMono, hasFocus } = field
  const value = type === 'password' ? '' : draft.value(name)
  const isFirst = hasFocus === true && draft.faults.length === 0 && draft.problem === undefined
  return wrapField(
    draft,
    field,
    html`<input id="${name}" name="${name}" type="${type}" value="${value}" autocomplete="${autocomplete}"${inputmode !== undefined && html` inputmode="${inputmode}"`}${isMono && html` class="mono" spellcheck="false"`}${isFirst && html` autofocus`}${describe(draft, field)}>`,
  )
}

/** Text of several lines. */
export function textArea(draft: Draft, field: TextField & { rows: number }): Html {
  const { name, rows, isMono } = field
  // A newline right after the tag is dropped by browsers, one that was typed is not: so there is always one.
  return wrapField(
    draft,
    field,
    html`<textarea id="${name}" name="${name}" rows="${rows}"${isMono && html` class="mono" spellcheck="false"`}${describe(draft, field)}>
${draft.value(name)}</textarea>`,
  )
}

/** One of several, as a list that opens. */
export function selectField(
  draft: Draft,
  field: TextField & { options: readonly { value: string; label: string }[] },
): Html {
  const { name, options } = field
  return wrapField(
    draft,
    field,
    html`<select id="${name}" name="${name}"${describe(draft, field)}>${options.map(
      ({ value, label }) =>
        html`<option value="${value}"${draft.value(name) === value && html` selected`}>${label}</option>`,
    )}</select>`,
  )
}

export type Option = { value: string; label: Content; help?: Content; isDisabled?: boolean }

/** Boxes to tick, or one of several to choose, with room to explain each. */
export function optionList(
  draft: Draft,
  field: {
    name: string
    label: string
    help?: Content
    kind: 'checkbox' | 'radio'
    options: readonly Option[]
  },
): Html {
  const { name, label, help, kind, options } = field
  const fault = faultOf(draft, name)
  return html`<fieldset class="field options${fault !== undefined && ' faulty'}" id="${name}" tabindex="-1">
  <legend>${label}</legend>
  ${help !== undefined && html`<p class="help">${help}</p>`}
  ${fault !== undefined && html`<p class="fault">${fault}</p>`}
  ${options.map(
    (
      option,
    ) => html`<label class="option"><input type="${kind}" name="${name}" value="${option.value}"${draft.values(name).includes(option.value) && html` checked`}${option.isDisabled && html` disabled`}>
    <span><span class="option-label">${option.label}</span>${option.help !== undefined && html`<span class="help">${option.help}</span>`}</span></label>`,
  )}
</fieldset>`
}

/** The buttons below a form: the act, and the way back. */
export function actions(act: Html, back?: { label: string; to: string }): Html {
  return html`<div class="actions">${act}${back && html`<a class="button plain" href="${back.to}">${back.label}</a>`}</div>`
}

/** The button that sends a form. It names the act. */
export function submit(label: string, kind: 'primary' | 'plain' | 'danger' = 'primary'): Html {
  return html`<button class="button ${kind}" type="submit">${label}</button>`
}

function wrapField(draft: Draft, { name, label, help, isOptional }: TextField, control: Html): Html {
  const fault = faultOf(draft, name)
  return html`<div class="field${fault !== undefined && ' faulty'}">
  <label for="${name}">${label}${isOptional && html` <span class="optional">optional</span>`}</label>
  ${control}
  ${fault !== undefined && html`<p class="fault" id="${name}-fault">${fault}</p>`}
  ${help !== undefined && html`<p class="help" id="${name}-help">${help}</p>`}
</div>`
}

function describe(draft: Draft, { name, help, isOptional }: TextField): Html {
  const isFaulty = faultOf(draft, name) !== undefined
  const ids = [...(isFaulty ? [`${name}-fault`] : []), ...(help === undefined ? [] : [`${name}-help`])]
  return html`${isOptional !== true && html` required`}${isFaulty && html` aria-invalid="true"`}${ids.length > 0 && html` aria-describedby="${ids.join(' ')}"`}`
}

function faultOf(draft: Draft, name: string): string | undefined {
  return draft.faults.find(({ field }) => field === name)?.text
}
