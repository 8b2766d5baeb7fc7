import type { Draft } from '../forms.ts'

/** Characters of what is pasted. */
export const MAX_PUBLIC_KEY_LENGTH = 20_000

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
