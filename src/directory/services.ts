import type { Clock } from '../clock.ts'
import type { Db } from '../database/connect.ts'
import type { KeyEncryptionKeys } from '../signing/envelope.ts'
import type { KeyPair, ModulusLength } from './key-pair.ts'

/** What the rules of the directory work with; each takes the part that it needs. */
export type DirectoryServices = {
  db: Db
  clock: Clock
  /** The issuer identifier, as configured. */
  issuer: string
  /** Makes RSA pairs off the event loop, within limits. Throws Refusal `key_generation_busy`. */
  generateKeyPair: (organizationId: string, modulusLength: ModulusLength) => Promise<KeyPair>
}

/** What rules need besides that keep a secret which the server itself must read again. */
export type SealingServices = {
  /** Wraps it (src/signing/envelope.ts). */
  keyEncryptionKeys: KeyEncryptionKeys
}

/** What rules about the server's own keys need besides. */
export type RotationServices = {
  /** How old an active signing key becomes before the next one takes its place. */
  signingKeyRotationDays: number
}
