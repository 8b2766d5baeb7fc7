import { findCredentials, isKnownAddress } from '../database/queries/credentials.ts'
import type { RequestFacts } from '../directory/actor.ts'
import { Refusal } from '../errors.ts'
import { normalizePassword } from './password-rules.ts'
import { noting } from './refused-sign-in.ts'
import type { AuthenticationServices } from './services.ts'
import { rememberedSince, type Session } from './sessions.ts'

/**
 * Asks somebody who is signed in for the password once more, before what would make a stolen session into a
 * stolen account. Answers the stored hash that it was verified against, by which a transaction can see whether
 * the password is still the same.
 * Throws Refusal `too_many_requests`, `password_absent` or `password_unconfirmed`.
 */
export async function provePassword(
  services: AuthenticationServices,
  { record }: Session,
  password: string,
  request: RequestFacts,
): Promise<string> {
  const { db, clock, throttle, passwords } = services
  const { accountId, accountName, accountEmail, organizationId } = record
  const ip = request.ip ?? ''
  const attempt = await throttle.begin(accountEmail, ip)
  const isKnown = await isKnownAddress(db, accountId, { ip, since: rememberedSince(clock.now()) })
  const attemptAtAccount = await throttle.goOn('account', accountEmail, isKnown)

  const hash = (await findCredentials(db, accountId))?.passwordHash ?? null
  const holds = await passwords.verify(normalizePassword(password), hash)
  const account = { accountId, accountName, accountKind: 'administrator', organizationId } as const
  return noting(services, account, request, async () => {
    if (hash === null) throw new Refusal('password_absent')
    if (!holds) throw new Refusal('password_unconfirmed')
    await Promise.all([attempt.held(), attemptAtAccount.held()])
    return hash
  })
}
