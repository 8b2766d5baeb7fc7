import { type Draft, line, lines } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { textArea, textField } from './form.ts'

/** What a person says of an account, when it is made and later. */
export const ACCOUNT_FIELDS = {
  name: line({ max: 200, required: 'Give the account a name.' }),
  description: lines({ max: 1000 }),
  owner_contact: line({ max: 200 }),
}

export function accountFields(draft: Draft): Html {
  return html`${textField(draft, {
    name: 'name',
    label: 'Name',
    help: 'What it does, such as «Billing sync».',
    hasFocus: true,
  })}
${textArea(draft, { name: 'description', label: 'Description', isOptional: true, rows: 3, help: 'What a colleague should know in a year.' })}
${textField(draft, {
  name: 'owner_contact',
  label: 'Owner',
  isOptional: true,
  help: 'Whom to ask about it: a person or a team.',
})}`
}
