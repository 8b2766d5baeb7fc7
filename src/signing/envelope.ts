import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** AES-256-GCM with a fresh nonce for every wrapping (NIST SP 800-38D §8.2.2). */
const CIPHER = 'aes-256-gcm'
export const KEY_ENCRYPTION_KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** First byte of a wrapped key: how the rest is to be read. */
const VERSION = 1

/**
 * The first one wraps; each opens what it has wrapped. More than one only while one takes the place of another
 * (docs/operations.md, docs/decisions/0021).
 */
export type KeyEncryptionKeys = readonly [Buffer, ...Buffer[]]

/**
 * Wraps a secret for storage: version, nonce, tag, ciphertext. The id of what it belongs to is bound as additional
 * data, so that one row's ciphertext cannot be passed off as another's.
 */
export function wrap(plaintext: Buffer, [keyEncryptionKey]: KeyEncryptionKeys, id: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, keyEncryptionKey, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(id))
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), ciphertext])
}

/** Opens what `wrap` made. Throws when no key fits, the id is another, or a bit was changed. */
export function unwrap(wrapped: Buffer, keyEncryptionKeys: KeyEncryptionKeys, id: string): Buffer {
  if (wrapped[0] !== VERSION) throw new Error(`unknown envelope version ${wrapped[0]}`)
  const plaintext = firstThatOpens(wrapped, keyEncryptionKeys, id)
  if (plaintext === undefined) throw new Error('no key-encryption key opens the envelope')
  return plaintext
}

/** Whether the first key opens it: then the others have no part in it. */
export function isWrappedByFirst(wrapped: Buffer, [first]: KeyEncryptionKeys, id: string): boolean {
  return wrapped[0] === VERSION && firstThatOpens(wrapped, [first], id) !== undefined
}

/**
 * Keys for one purpose alone (HKDF, RFC 5869), in the same order: what serves it is of no use for another, nor for
 * what is stored.
 */
export function deriveKeys([first, ...others]: KeyEncryptionKeys, purpose: string): KeyEncryptionKeys {
  const derive = (key: Buffer) => Buffer.from(hkdfSync('sha256', key, '', purpose, KEY_ENCRYPTION_KEY_BYTES))
  return [derive(first), ...others.map(derive)]
}

function firstThatOpens(wrapped: Buffer, keys: readonly Buffer[], id: string): Buffer | undefined {
  for (const key of keys) {
    try {
      return open(wrapped, key, id)
    } catch {
      // Authenticated encryption: another key, another id and a changed bit look alike.
    }
  }
  return undefined
}

function open(wrapped: Buffer, keyEncryptionKey: Buffer, id: string): Buffer {
  const nonce = wrapped.subarray(1, 1 + NONCE_BYTES)
  const tag = wrapped.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES)
  const decipher = createDecipheriv(CIPHER, keyEncryptionKey, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(id))
  decipher.setAuthTag(tag)
  return Buffer.concat([decipher.update(wrapped.subarray(1 + NONCE_BYTES + TAG_BYTES)), decipher.final()])
}
