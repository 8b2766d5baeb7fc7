import { type Kysely, sql, type Transaction } from 'kysely'
import type { AccountKind, AccountStatus, Database, OrganizationStatus } from '../tables.ts'

/** Whoever has an address, and all that decides whether they may sign in: one read, whatever is found. */
export type SignInCandidate = {
  accountId: string
  accountName: string
  accountKind: AccountKind
  accountStatus: AccountStatus
  organizationId: string
  organizationStatus: OrganizationStatus
  passwordHash: string | null
  hasSecondFactor: boolean
  /** Whether somebody can sign in to it by a password at all. */
  isOpen: boolean
  /** Whether the account has signed in from this network address before. */
  isKnownAddress: boolean
}

/** What an administrator has to prove who they are. */
export type Credentials = {
  accountId: string
  passwordHash: string | null
  wrappedTotpSecret: Buffer | null
  totpConfirmedAt: Date | null
  recoveryCodesLeft: number
}

/**
 * Accounts of that address, of whatever kind and state, unless they are deleted: two at most, those that are open
 * first. With an organization's slug the one that it has.
 */
export async function findSignInCandidates(
  db: Kysely<Database>,
  { email, organization }: { email: string; organization: string | undefined },
  from: { ip: string; since: Date },
): Promise<SignInCandidate[]> {
  return db
    .selectFrom('accounts as a')
    .innerJoin('organizations as o', 'o.id', 'a.organizationId')
    .leftJoin('administratorCredentials as c', 'c.accountId', 'a.id')
    .select([
      'a.id as accountId',
      'a.name as accountName',
      'a.kind as accountKind',
      'a.status as accountStatus',
      'o.id as organizationId',
      'o.status as organizationStatus',
      'c.passwordHash',
      sql<boolean>`c.totp_confirmed_at is not null`.as('hasSecondFactor'),
      sql<boolean>`c.password_hash is not null and a.status = 'active' and o.status = 'active'`.as('isOpen'),
      sql<boolean>`exists (
        select from sessions s
        where s.account_id = a.id and s.ip = ${from.ip} and s.created_at >= ${from.since}
          and not s.awaits_second_factor)`.as('isKnownAddress'),
    ])
    .where('a.email', '=', email)
    .where('a.status', '!=', 'deleted')
    .$if(organization !== undefined, (query) => query.where('o.slug', '=', organization ?? ''))
    .orderBy('isOpen', 'desc')
    .orderBy('a.id')
    .limit(2)
    .execute()
}

/** Whether an account has signed in from a network address since a time. */
export async function isKnownAddress(
  db: Kysely<Database>,
  accountId: string,
  from: { ip: string; since: Date },
): Promise<boolean> {
  const found = await db
    .selectFrom('sessions')
    .select('id')
    .where('accountId', '=', accountId)
    .where('ip', '=', from.ip)
    .where('createdAt', '>=', from.since)
    .where('awaitsSecondFactor', '=', false)
    .limit(1)
    .executeTakeFirst()
  return found !== undefined
}

/** An administrator's credentials. */
export function findCredentials(db: Kysely<Database>, accountId: string): Promise<Credentials | undefined> {
  return credentials(db, accountId).executeTakeFirst()
}

/** The same, held until the transaction ends: what is decided by them stays true. */
export async function lockCredentials(
  trx: Transaction<Database>,
  accountId: string,
): Promise<Credentials | undefined> {
  await trx
    .selectFrom('administratorCredentials')
    .select('accountId')
    .where('accountId', '=', accountId)
    .forUpdate()
    .execute()
  return findCredentials(trx, accountId)
}

/** Sets or takes away a password. */
export async function setPasswordHash(
  trx: Transaction<Database>,
  accountId: string,
  passwordHash: string | null,
  now: Date,
): Promise<void> {
  await trx
    .updateTable('administratorCredentials')
    .set({ passwordHash, passwordChangedAt: now })
    .where('accountId', '=', accountId)
    .execute()
}

/** Stores the same password under other parameters, unless it has been changed meanwhile. */
export async function rehashPassword(
  db: Kysely<Database>,
  accountId: string,
  hashes: { before: string; after: string },
): Promise<void> {
  await db
    .updateTable('administratorCredentials')
    .set({ passwordHash: hashes.after })
    .where('accountId', '=', accountId)
    .where('passwordHash', '=', hashes.before)
    .execute()
}

/** Notes the time of a sign-in. */
export async function noteSignIn(trx: Transaction<Database>, accountId: string, now: Date): Promise<void> {
  await trx
    .updateTable('administratorCredentials')
    .set({ lastSignInAt: now })
    .where('accountId', '=', accountId)
    .execute()
}

/** Stores a second factor that is not asked for until it is confirmed. */
export async function storeTotpSecret(
  trx: Transaction<Database>,
  accountId: string,
  wrappedTotpSecret: Buffer,
): Promise<void> {
  await trx
    .updateTable('administratorCredentials')
    .set({ wrappedTotpSecret, totpConfirmedAt: null, totpLastStep: null })
    .where('accountId', '=', accountId)
    .execute()
}

/** From now on the second factor is asked for. */
export async function confirmTotp(trx: Transaction<Database>, accountId: string, now: Date): Promise<void> {
  await trx
    .updateTable('administratorCredentials')
    .set({ totpConfirmedAt: now })
    .where('accountId', '=', accountId)
    .execute()
}

/**
 * Uses a step up, and all before it (RFC 6238 §5.2: a code counts once). Answers whether it was still unused:
 * of two requests with one code, on whatever nodes, one gets true.
 */
export async function useTotpStep(
  trx: Transaction<Database>,
  accountId: string,
  step: number,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('administratorCredentials')
    .set({ totpLastStep: step })
    .where('accountId', '=', accountId)
    .where((where) => where.or([where('totpLastStep', 'is', null), where('totpLastStep', '<', String(step))]))
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Takes the second factor away, and its recovery codes. */
export async function removeTotp(trx: Transaction<Database>, accountId: string): Promise<void> {
  await trx
    .updateTable('administratorCredentials')
    .set({ wrappedTotpSecret: null, totpConfirmedAt: null, totpLastStep: null })
    .where('accountId', '=', accountId)
    .execute()
  await replaceRecoveryCodes(trx, accountId, [])
}

/** Stores recovery codes; those before them stop counting. */
export async function replaceRecoveryCodes(
  trx: Transaction<Database>,
  accountId: string,
  digests: readonly Buffer[],
): Promise<void> {
  await trx.deleteFrom('recoveryCodes').where('accountId', '=', accountId).execute()
  if (digests.length === 0) return
  await trx
    .insertInto('recoveryCodes')
    .values(digests.map((digest) => ({ accountId, digest })))
    .execute()
}

/** Uses a recovery code up. Answers whether there was one; of two that come at once, one gets true. */
export async function useRecoveryCode(
  trx: Transaction<Database>,
  accountId: string,
  digest: Buffer,
): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('recoveryCodes')
    .where('accountId', '=', accountId)
    .where('digest', '=', digest)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

/** Takes everything away by which somebody could prove to be the account. */
export async function deleteCredentials(trx: Transaction<Database>, accountId: string): Promise<void> {
  await trx.deleteFrom('recoveryCodes').where('accountId', '=', accountId).execute()
  await trx.deleteFrom('openidIdentities').where('accountId', '=', accountId).execute()
  await trx.deleteFrom('administratorCredentials').where('accountId', '=', accountId).execute()
}

function credentials(db: Kysely<Database>, accountId: string) {
  return db
    .selectFrom('administratorCredentials as c')
    .select(['c.accountId', 'c.passwordHash', 'c.wrappedTotpSecret', 'c.totpConfirmedAt'])
    .select(
      sql<number>`(select count(*)::int from recovery_codes r where r.account_id = c.account_id)`.as(
        'recoveryCodesLeft',
      ),
    )
    .where('c.accountId', '=', accountId)
}
