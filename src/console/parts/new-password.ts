import type { Draft } from '../forms.ts'
import type { Html } from '../html.ts'
import { textField } from './form.ts'

/** The field in which somebody chooses a password. */
export function newPasswordField(
  draft: Draft,
  { name, label, hasFocus = false }: { name: string; label: string; hasFocus?: boolean },
): Html {
  return textField(draft, {
    name,
    label,
    type: 'password',
    autocomplete: 'new-password',
    help: 'At least 12 characters, your names and the organization’s not counted, and none of the passwords that are tried first.',
    hasFocus,
  })
}
