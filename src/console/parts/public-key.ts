import { type Draft, lines } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { textArea } from './form.ts'

/** Characters of what is pasted. */
const MAX_LENGTH = 20_000
/** The module that a page with the field names. */
export const READ_FILE_SCRIPT = 'read-file.js'

/** The public half of a pair that somebody has made elsewhere. */
export const PUBLIC_KEY = { public_key: lines({ max: MAX_LENGTH, required: 'Paste the public key.' }) }

/** Its field, and with JavaScript a way to choose its file. */
export function publicKeyField(draft: Draft): Html {
  return html`${textArea(draft, {
    name: 'public_key',
    label: 'Public key',
    help: 'PEM (SPKI or X.509 certificate) or JWK: RSA from 2048 bits, EC P-256 or P-384, Ed25519.',
    rows: 8,
    isMono: true,
  })}
<div class="field" hidden data-read-file="public_key"><label for="file">Or choose its file</label><input id="file" type="file" accept=".pem,.pub,.crt,.cer,.json,.jwk"></div>`
}

/** A JWK where it looks like one, else PEM. */
export function toMaterial(given: string): string | Record<string, unknown> {
  if (!given.startsWith('{')) return given
  try {
    return JSON.parse(given)
  } catch {
    return given
  }
}

/** What was typed is shown again, but not a private key that was pasted by mistake into `public_key`. */
export function withoutPrivateKey(draft: Draft): Draft {
  if (draft.refusal?.reason !== 'private_key_given') return draft
  return { ...draft, value: (name) => (name === 'public_key' ? '' : draft.value(name)) }
}
