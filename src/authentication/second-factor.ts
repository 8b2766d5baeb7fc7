import type { Trx } from '../database/connect.ts'
import {
  type Credentials,
  confirmTotp,
  lockCredentials,
  removeTotp,
  replaceRecoveryCodes as storeRecoveryCodes,
  storeTotpSecret,
} from '../database/queries/credentials.ts'
import { endSessions } from '../database/queries/sessions.ts'
import type { AuditChanges } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { type AuditAction, recordChanges } from '../directory/audit.ts'
import { Refusal } from '../errors.ts'
import { unwrap, wrap } from '../signing/envelope.ts'
import { provePassword } from './password-proof.ts'
import { createRecoveryCodes, digestRecoveryCode } from './recovery-codes.ts'
import { noting } from './refused-sign-in.ts'
import { spendCode, spendStep, totpSecretId } from './second-factor-code.ts'
import type { AuthenticationServices } from './services.ts'
import type { Session } from './sessions.ts'
import { createTotpSecret, toBase32, toKeyUri } from './totp.ts'

/** What an authenticator application needs, by QR code or by hand. Shown once. */
export type Enrolment = { secret: string; keyUri: string }

/** What an authenticator application shows beside the address. */
const PRODUCT = 'Countersign'

/**
 * Begins to set a second factor up. It is not asked for until a code has confirmed it; to begin anew replaces
 * what was begun before.
 * Throws Refusal `second_factor_on`, and what `provePassword` throws.
 */
export async function beginEnrolment(
  services: AuthenticationServices,
  session: Session,
  password: string,
): Promise<Enrolment> {
  const { accountId, accountEmail } = session.record
  const hash = await provePassword(services, session, password, session.actor.request)
  const secret = createTotpSecret()
  const wrapped = wrap(secret, services.keyEncryptionKeys, totpSecretId(accountId))
  await transact(services.db, async (trx) => {
    const credentials = await requireCredentials(trx, accountId, hash)
    if (credentials.totpConfirmedAt !== null) throw new Refusal('second_factor_on', { accountId })
    await storeTotpSecret(trx, accountId, wrapped)
  })
  return { secret: toBase32(secret), keyUri: toKeyUri(secret, { issuer: PRODUCT, account: accountEmail }) }
}

/**
 * Confirms the second factor by its first code: from now on it is asked for. Ends all other sessions, and
 * answers recovery codes, which are shown once. Who has found an open session must not guess the code and get them.
 * Throws Refusal `too_many_requests`, `second_factor_on`, `second_factor_off` when none was begun, or
 * `second_factor_wrong`.
 */
export async function confirmEnrolment(
  services: AuthenticationServices,
  session: Session,
  code: string,
): Promise<string[]> {
  const { accountId } = session.record
  return transact(services.db, async (trx) => {
    const now = services.clock.now()
    const credentials = await requireCredentials(trx, accountId)
    if (credentials.totpConfirmedAt !== null) throw new Refusal('second_factor_on', { accountId })
    if (credentials.wrappedTotpSecret === null) throw new Refusal('second_factor_off', { accountId })
    const attempt = await services.throttle.goOn('codes', accountId, false)
    const secret = unwrap(credentials.wrappedTotpSecret, services.keyEncryptionKeys, totpSecretId(accountId))
    await spendStep(trx, accountId, secret, code.replaceAll(/\s/g, ''), now)
    await confirmTotp(trx, accountId, new Date(now))
    const codes = await renewRecoveryCodes(trx, accountId)
    const sessionsEnded = await endSessions(trx, accountId, { except: session.record.id, now: new Date(now) })
    await record(trx, session, now, 'administrator.second_factor_enabled', {
      after: { recovery_codes: codes.length, sessions_ended: sessionsEnded },
    })
    await attempt.held()
    return codes
  })
}

/**
 * Takes the second factor away. It takes password and code: whoever has found an open session has neither.
 * Throws Refusal `second_factor_off`, `second_factor_wrong`, `second_factor_used`, and what `provePassword` throws.
 */
export async function removeSecondFactor(
  services: AuthenticationServices,
  session: Session,
  given: { password: string; code: string },
): Promise<void> {
  const { accountId, accountName, organizationId } = session.record
  const { request } = session.actor
  const hash = await provePassword(services, session, given.password, request)
  const account = { accountId, accountName, accountKind: 'administrator', organizationId } as const
  const attempt = await services.throttle.goOn('codes', accountId, false)
  await noting(services, account, request, () =>
    transact(services.db, async (trx) => {
      await requireCredentials(trx, accountId, hash)
      await spendCode(trx, services, accountId, given.code)
      await removeTotp(trx, accountId)
      await record(trx, session, services.clock.now(), 'administrator.second_factor_disabled', null)
    }),
  )
  await attempt.held()
}

/**
 * Makes new recovery codes; those before them have stopped working when this returns.
 * Throws Refusal `second_factor_off`, and what `provePassword` throws.
 */
export async function replaceRecoveryCodes(
  services: AuthenticationServices,
  session: Session,
  password: string,
): Promise<string[]> {
  const { accountId } = session.record
  const hash = await provePassword(services, session, password, session.actor.request)
  return transact(services.db, async (trx) => {
    const credentials = await requireCredentials(trx, accountId, hash)
    if (credentials.totpConfirmedAt === null) throw new Refusal('second_factor_off', { accountId })
    const codes = await renewRecoveryCodes(trx, accountId)
    await record(trx, session, services.clock.now(), 'administrator.recovery_codes_replaced', null)
    return codes
  })
}

async function renewRecoveryCodes(trx: Trx, accountId: string): Promise<string[]> {
  const codes = createRecoveryCodes()
  await storeRecoveryCodes(
    trx,
    accountId,
    codes.map((code) => digestRecoveryCode(accountId, code)),
  )
  return codes
}

/** Held until the transaction ends. With `hash`: still of the password that was proven. */
async function requireCredentials(trx: Trx, accountId: string, hash?: string): Promise<Credentials> {
  const credentials = await lockCredentials(trx, accountId)
  if (credentials === undefined) throw new Refusal('session_missing', { accountId, fact: 'just deleted' })
  if (hash !== undefined && credentials.passwordHash !== hash) {
    throw new Refusal('password_unconfirmed', { accountId, fact: 'just changed' })
  }
  return credentials
}

async function record(
  trx: Trx,
  { actor, record: { accountId, accountName, organizationId } }: Session,
  now: number,
  action: AuditAction,
  changes: AuditChanges | null,
): Promise<void> {
  await recordChanges(trx, actor, now, [
    { organizationId, action, target: { id: accountId, kind: 'administrator', name: accountName }, changes },
  ])
}
