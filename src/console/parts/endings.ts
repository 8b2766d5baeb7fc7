import { type Html, html } from '../html.ts'
import type { Visit } from '../visit.ts'
import { form, submit } from './form.ts'
import { linkButton, section } from './page-header.ts'

/** Where disabling ends tokens, as of service accounts and their keys. */
export const TOKENS_END = 'Disabling can be undone, though live tokens end for good. Deleting cannot.'

/**
 * The section of an object's page that ends it: by disabling, which enabling undoes, or for good. `here` is the path of the
 * object, below which the pages are that ask.
 */
export function endings(
  { formToken }: Pick<Visit, 'formToken'>,
  options: { here: string; isDisabled: boolean; purpose: string; forGood?: 'Delete' | 'Remove' },
): Html {
  const { here, isDisabled, purpose, forGood = 'Delete' } = options
  const disable = isDisabled
    ? form({ action: `${here}/enable`, formToken, isInline: true, content: submit('Enable', 'plain') })
    : linkButton('Disable…', `${here}/disable`, 'plain')
  return section(
    endingsTitle(forGood),
    html`<div class="button-row">${disable}${linkButton(`${forGood}…`, `${here}/delete`, 'danger')}</div>`,
    { purpose },
  )
}

/** The title of that section. Pure. */
export function endingsTitle(forGood: 'Delete' | 'Remove' = 'Delete'): string {
  return `Disable or ${forGood.toLowerCase()}`
}
