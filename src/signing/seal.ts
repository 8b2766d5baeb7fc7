import { deriveKeys, type KeyEncryptionKeys, unwrap, wrap } from './envelope.ts'

/** Lets a browser keep something that it can neither read nor make. */
export type Seal<Content> = {
  seal(content: Content): string
  /** undefined for what `seal` did not make. */
  open(text: string | undefined): Content | undefined
}

/**
 * A seal for one purpose, with a key of its own: what strangers can have sealed as often as they like is never
 * sealed with a key that wraps stored secrets, and what was sealed for one purpose opens nothing in another.
 */
export function createSeal<Content>(keyEncryptionKeys: KeyEncryptionKeys, purpose: string): Seal<Content> {
  const keys = deriveKeys(keyEncryptionKeys, purpose)
  return {
    seal: (content) => wrap(Buffer.from(JSON.stringify(content)), keys, purpose).toString('base64url'),
    open(text) {
      if (text === undefined) return undefined
      try {
        return JSON.parse(unwrap(Buffer.from(text, 'base64url'), keys, purpose).toString()) as Content
      } catch {
        return undefined
      }
    },
  }
}
