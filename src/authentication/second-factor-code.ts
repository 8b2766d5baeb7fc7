import type { Trx } from '../database/connect.ts'
import { lockCredentials, useRecoveryCode, useTotpStep } from '../database/queries/credentials.ts'
import { Refusal } from '../errors.ts'
import { unwrap } from '../signing/envelope.ts'
import { digestRecoveryCode } from './recovery-codes.ts'
import type { AuthenticationServices } from './services.ts'
import { findStep, TOTP_CODE } from './totp.ts'

/** By what the secret of a second factor is bound to its account when it is wrapped. */
export function totpSecretId(accountId: string): string {
  return `${accountId} totp`
}

/**
 * Judges a code against an account's second factor and uses it up: six digits of the authenticator, or a
 * recovery code. Of two requests with the same code one is let in, on whatever nodes.
 * Throws Refusal `second_factor_off`, `second_factor_wrong` or `second_factor_used`.
 */
export async function spendCode(
  trx: Trx,
  { clock, keyEncryptionKeys }: Pick<AuthenticationServices, 'clock' | 'keyEncryptionKeys'>,
  accountId: string,
  code: string,
): Promise<'totp' | 'recovery_code'> {
  const credentials = await lockCredentials(trx, accountId)
  const wrapped = credentials?.wrappedTotpSecret ?? null
  if (wrapped === null || credentials?.totpConfirmedAt == null)
    throw new Refusal('second_factor_off', { accountId })
  const digits = code.replaceAll(/\s/g, '')
  if (!TOTP_CODE.test(digits)) {
    if (await useRecoveryCode(trx, accountId, digestRecoveryCode(accountId, code))) return 'recovery_code'
    throw new Refusal('second_factor_wrong', { accountId, kind: 'recovery_code' })
  }
  await spendStep(
    trx,
    accountId,
    unwrap(wrapped, keyEncryptionKeys, totpSecretId(accountId)),
    digits,
    clock.now(),
  )
  return 'totp'
}

/** The same for a secret that need not be confirmed yet. `now` in milliseconds. */
export async function spendStep(
  trx: Trx,
  accountId: string,
  secret: Buffer,
  code: string,
  now: number,
): Promise<void> {
  const step = findStep(secret, code, now)
  if (step === undefined) throw new Refusal('second_factor_wrong', { accountId, kind: 'totp' })
  // RFC 6238 §5.2: whoever looked over a shoulder must not be able to use the code once more.
  if (!(await useTotpStep(trx, accountId, step))) throw new Refusal('second_factor_used', { accountId })
}
