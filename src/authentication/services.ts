import type { Clock } from '../clock.ts'
import type { Db } from '../database/connect.ts'
import type { RefusalTrail } from '../directory/refusal-trail.ts'
import type { KeyEncryptionKeys } from '../signing/envelope.ts'
import type { PasswordHasher } from './password.ts'
import type { SignInThrottle } from './sign-in-throttle.ts'

/** What the rules of signing in work with; each takes the part that it needs. */
export type AuthenticationServices = {
  db: Db
  clock: Clock
  /** The issuer identifier, as configured. */
  issuer: string
  /** Wraps the secrets of second factors and of clients at identity providers. */
  keyEncryptionKeys: KeyEncryptionKeys
  passwords: PasswordHasher
  throttle: SignInThrottle
  /** Where refused sign-ins of known accounts are written down. */
  refusals: RefusalTrail
}
