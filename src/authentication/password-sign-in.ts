import type { Trx } from '../database/connect.ts'
import {
  findSignInCandidates,
  isKnownAddress,
  lockCredentials,
  rehashPassword,
  type SignInCandidate,
} from '../database/queries/credentials.ts'
import { endSession } from '../database/queries/sessions.ts'
import { transact } from '../database/transaction.ts'
import type { RequestFacts } from '../directory/actor.ts'
import { normalizeEmail } from '../directory/administrators.ts'
import { Refusal, type SignInReason } from '../errors.ts'
import { isOutdated } from './password.ts'
import { normalizePassword } from './password-rules.ts'
import { noting } from './refused-sign-in.ts'
import { spendCode } from './second-factor-code.ts'
import type { AuthenticationServices } from './services.ts'
import { beginSession, getPendingSession, rememberedSince } from './sessions.ts'

/** A session has begun. With `awaitsSecondFactor` nothing can be done with it but giving the code. */
export type SignedIn = { secret: string; awaitsSecondFactor: boolean }

/** An account is an address within an organization; the slug may be left out where the address has one account. */
export type PasswordSignIn = { email: string; password: string; organization?: string | undefined }

/**
 * Signs an administrator in by address and password. For an address that nobody has or several organizations have,
 * an account that may not sign in and a wrong password the work is the same, and so is what the caller is told: only
 * the reason differs, for log, metric and trail. A service account never signs in.
 * Throws Refusal `too_many_requests`, `email_unknown`, `organization_ambiguous`, `account_is_service_account`,
 * `account_not_active`, `password_not_set` or `password_wrong`.
 */
export async function signInWithPassword(
  services: AuthenticationServices,
  given: PasswordSignIn,
  request: RequestFacts,
): Promise<SignedIn> {
  const { db, clock, throttle, passwords } = services
  const email = normalizeEmail(given.email)
  const ip = request.ip ?? ''
  const attempt = await throttle.begin(email, ip)
  const from = { ip, since: rememberedSince(clock.now()) }
  const organization = given.organization?.toLowerCase()
  const found = await findSignInCandidates(db, { email, organization }, from)
  const isAmbiguous = found.filter((each) => each.isOpen).length > 1
  const candidate = isAmbiguous ? undefined : found[0]
  const attemptAtAccount = await throttle.goOn('account', email, candidate?.isKnownAddress ?? false)

  const password = normalizePassword(given.password)
  const holds = await passwords.verify(password, candidate?.passwordHash ?? null)
  return noting(services, candidate, request, async () => {
    if (isAmbiguous) throw new Refusal('organization_ambiguous')
    const { account, passwordHash } = requireAdmitted(candidate, holds)
    await Promise.all([attempt.held(), attemptAtAccount.held()])
    if (isOutdated(passwordHash)) {
      const after = await passwords.hash(password)
      await rehashPassword(db, account.accountId, { before: passwordHash, after })
      return begin(services, account, after, request)
    }
    return begin(services, account, passwordHash, request)
  })
}

/**
 * Gives the second factor of a session that waits for it: a code of the authenticator, or a recovery code,
 * which is used up. Answers the secret of a new session; the one that waited is over.
 * Throws Refusal `session_missing`, `too_many_requests`, `second_factor_wrong` or `second_factor_used`.
 */
export async function giveSecondFactor(
  services: AuthenticationServices,
  pendingSecret: string | undefined,
  code: string,
  request: RequestFacts,
): Promise<SignedIn> {
  const { db, clock, throttle } = services
  const { record } = await getPendingSession(services, pendingSecret, request)
  const { accountId, accountName, accountEmail, organizationId } = record
  const ip = request.ip ?? ''
  const attempt = await throttle.begin(accountEmail, ip)
  const isKnown = await isKnownAddress(db, accountId, { ip, since: rememberedSince(clock.now()) })
  const attemptAtAccount = await throttle.goOn('codes', accountId, isKnown)

  const account = { accountId, accountName, organizationId }
  return noting(services, { ...account, accountKind: 'administrator' }, request, async () => {
    const secret = await transact(db, async (trx) => {
      const now = clock.now()
      const secondFactor = await spendCode(trx, services, accountId, code)
      // Who comes second with the same waiting session finds it ended.
      if (!(await endSession(trx, accountId, record.id, new Date(now)))) throw new Refusal('session_missing')
      return beginSession(
        trx,
        {
          account: { id: accountId, name: accountName, organizationId },
          method: record.method,
          awaitsSecondFactor: false,
          secondFactor,
          now,
        },
        request,
      )
    })
    await Promise.all([attempt.held(), attemptAtAccount.held()])
    return { secret, awaitsSecondFactor: false }
  })
}

async function begin(
  { db, clock }: AuthenticationServices,
  { accountId, accountName, organizationId }: SignInCandidate,
  verifiedHash: string,
  request: RequestFacts,
): Promise<SignedIn> {
  return transact(db, async (trx) => {
    const awaitsSecondFactor = await requireUnchanged(trx, accountId, verifiedHash)
    const account = { id: accountId, name: accountName, organizationId }
    const now = clock.now()
    const secret = await beginSession(
      trx,
      { account, method: 'password', awaitsSecondFactor, secondFactor: null, now },
      request,
    )
    return { secret, awaitsSecondFactor }
  })
}

/** A reset that was answered while the password was being verified has the last word, and so has a second factor. */
async function requireUnchanged(trx: Trx, accountId: string, verifiedHash: string): Promise<boolean> {
  const credentials = await lockCredentials(trx, accountId)
  if (credentials?.passwordHash !== verifiedHash)
    throw new Refusal('password_wrong', { fact: 'just changed' })
  return credentials.totpConfirmedAt !== null
}

/** Pure: who may go on. The password is judged last, so that nothing is told about it to whom it cannot help. */
function requireAdmitted(
  candidate: SignInCandidate | undefined,
  holds: boolean,
): { account: SignInCandidate; passwordHash: string } {
  if (candidate === undefined) throw new Refusal('email_unknown')
  const { accountKind, accountStatus, organizationStatus, passwordHash } = candidate
  const refuse = (reason: SignInReason) => new Refusal(reason, { accountId: candidate.accountId })
  if (accountKind !== 'administrator') throw refuse('account_is_service_account')
  if (accountStatus !== 'active' || organizationStatus !== 'active') throw refuse('account_not_active')
  if (passwordHash === null) throw refuse('password_not_set')
  if (!holds) throw refuse('password_wrong')
  return { account: candidate, passwordHash }
}
