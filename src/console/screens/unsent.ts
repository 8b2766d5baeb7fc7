import { type Html, html } from '../html.ts'
import { facts } from '../parts/facts.ts'
import { form, submit } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import { SEEN } from '../parts/seen.ts'
import { UNSENT } from '../unsent.ts'
import type { Reply, SessionVisit } from '../visit.ts'

/** After signing in again: what was typed before, and the way back to its form. */
export function showUnsent({ root, unsent, formToken }: SessionVisit): Reply {
  if (unsent === undefined) {
    return {
      page: {
        title: 'Nothing is waiting',
        content: html`${pageHeader({
          title: 'Nothing is waiting',
          purpose:
            'What was typed before you were signed out could not be kept, was left, or is too old. Nothing was changed by it.',
        })}
<p><a class="button plain" href="${root}/">Go to the start</a></p>`,
      },
    }
  }
  return {
    page: {
      title: 'Your form was not sent',
      content: html`${pageHeader({
        title: 'Your form was not sent',
        purpose:
          'You were signed out before it was, and nothing was changed. This is what you had typed; secrets are not kept.',
      })}
${facts(unsent.fields.filter(isTyped).map(([name, value]) => [inWords(name), html`<span class="typed">${value}</span>`]))}
<div class="button-row below">
  ${form({
    action: unsent.path,
    formToken,
    isInline: true,
    content: html`<input type="hidden" name="${UNSENT}" value="1">${unsent.fields.map(drawHidden)}${submit('Back to the form')}`,
  })}
  ${form({ action: `${root}/unsent`, formToken, isInline: true, content: submit('Leave it', 'plain') })}
</div>`,
    },
  }
}

/** Forgets what was typed. */
export function leaveUnsent({ root }: SessionVisit): Reply {
  return { to: `${root}/`, unsent: null }
}

/** Nobody has typed when they saw the object; it goes back with the form, which says when that has changed since. */
function isTyped([name]: readonly [string, string]): boolean {
  return name !== SEEN
}

/** The name of a field, as a label. */
function inWords(name: string): string {
  return (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll('_', ' ')
}

function drawHidden([name, value]: readonly [string, string]): Html {
  return html`<input type="hidden" name="${name}" value="${value}">`
}
