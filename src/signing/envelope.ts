import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/** AES-256-GCM with a fresh nonce for every wrapping (NIST SP 800-38D §8.2.2). */
const CIPHER = 'aes-256-gcm'
export const KEY_ENCRYPTION_KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** First byte of a wrapped key: how the rest is to be read. */
const VERSION = 1

/**
 * Wraps a private key for storage: version, nonce, tag, ciphertext. The id of the key is bound as additional
 * data, so that one row's ciphertext cannot be passed off as another's.
 */
export function wrap(plaintext: Buffer, keyEncryptionKey: Buffer, id: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, keyEncryptionKey, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(id))
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), ciphertext])
}

/** Opens what `wrap` made. Throws when the key-encryption key or the id is another, or a bit was changed. */
export function unwrap(wrapped: Buffer, keyEncryptionKey: Buffer, id: string): Buffer {
  if (wrapped[0] !== VERSION) throw new Error(`unknown envelope version ${wrapped[0]}`)
  const nonce = wrapped.subarray(1, 1 + NONCE_BYTES)
  const tag = wrapped.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES)
  const decipher = createDecipheriv(CIPHER, keyEncryptionKey, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(id))
  decipher.setAuthTag(tag)
  return Buffer.concat([decipher.update(wrapped.subarray(1 + NONCE_BYTES + TAG_BYTES)), decipher.final()])
}
