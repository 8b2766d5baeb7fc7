import { randomBytes } from 'node:crypto'
import type { Trx } from '../database/connect.ts'
import { noteSignIn } from '../database/queries/credentials.ts'
import {
  deleteSessionsBefore,
  endSession,
  findLiveSession,
  findSessionOwner,
  insertSession,
  type SessionRecord,
  touchSession,
} from '../database/queries/sessions.ts'
import type { SignInMethod } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import type { Actor, RequestFacts } from '../directory/actor.ts'
import { livenessAt, SESSION_LIFETIME_SECONDS } from '../directory/administrator-sessions.ts'
import { recordChanges } from '../directory/audit.ts'
import { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import { digestSecret } from '../tokens/access-token.ts'
import type { AuthenticationServices } from './services.ts'

/** `cse_` and 256 random bits: what the cookie holds. Only its SHA-256 is stored. */
const SECRET_PREFIX = 'cse_'
const SECRET_OCTETS = 32
const SECRET = /^cse_[\w-]{43}$/
/** How long a password that was right waits for the second factor. */
const PENDING_SECONDS = 600
/** The use of a session is noted at most this often. */
const TOUCH_SECONDS = 60
/** How long an address counts as one that the account signs in from; sessions are kept as long. */
const REMEMBERED_DAYS = 90

/** Whose session it is, and what they may do now: read anew for every request, never remembered. */
export type Session = { record: SessionRecord; actor: Actor }

/** What a new session is. */
export type NewSignIn = {
  account: { id: string; name: string; organizationId: string }
  method: SignInMethod
  awaitsSecondFactor: boolean
  /** What was proven besides the password. */
  secondFactor: 'totp' | 'recovery_code' | null
  /** Milliseconds. */
  now: number
}

type Services = Pick<AuthenticationServices, 'db' | 'clock'>

/** Since when the sessions of an account tell which network addresses are its own. `now` in milliseconds. */
export function rememberedSince(now: number): Date {
  return new Date(now - REMEMBERED_DAYS * 86_400_000)
}

/**
 * Begins a session and answers its secret; nobody had it before (no session fixation). Throws Refusal
 * `account_not_active` when the account or its organization is not active any more.
 */
export async function beginSession(
  trx: Trx,
  { account, method, awaitsSecondFactor, secondFactor, now }: NewSignIn,
  request: RequestFacts,
): Promise<string> {
  const secret = SECRET_PREFIX + randomBytes(SECRET_OCTETS).toString('base64url')
  const id = newId('ses', now)
  const lifetimeSeconds = awaitsSecondFactor ? PENDING_SECONDS : SESSION_LIFETIME_SECONDS
  await deleteSessionsBefore(trx, account.id, rememberedSince(now))
  const hasBegun = await insertSession(trx, {
    id,
    accountId: account.id,
    digest: digestSecret(secret),
    method,
    awaitsSecondFactor,
    createdAt: new Date(now),
    expiresAt: new Date(now + lifetimeSeconds * 1000),
    ip: request.ip,
    userAgent: request.userAgent,
  })
  if (!hasBegun) throw new Refusal('account_not_active', { accountId: account.id })
  if (awaitsSecondFactor) return secret
  await noteSignIn(trx, account.id, new Date(now))
  const { id: accountId, name, organizationId } = account
  await recordChanges(trx, { accountId, kind: 'administrator', name, request }, now, [
    {
      organizationId,
      action: 'administrator.signed_in',
      target: { id: accountId, kind: 'administrator', name },
      changes: { after: { session_id: id, method, second_factor: secondFactor } },
    },
  ])
  return secret
}

/**
 * The session of that secret, with what its administrator may do now.
 * Throws Refusal `session_missing`, or `second_factor_required` when only the password was given so far.
 */
export async function getSession(
  services: Services,
  secret: string | undefined,
  request: RequestFacts,
): Promise<Session> {
  const session = await findSession(services, secret, request)
  if (!session.record.awaitsSecondFactor) return session
  throw new Refusal('second_factor_required', { sessionId: session.record.id })
}

/** The account whose session that secret is or was: it says nothing about who asks now, and lets nobody in. */
export async function findAccountOfSession(
  { db }: Pick<Services, 'db'>,
  secret: string,
): Promise<string | undefined> {
  return SECRET.test(secret) ? findSessionOwner(db, digestSecret(secret)) : undefined
}

/** The session that waits for the second factor. Throws Refusal `session_missing`. */
export async function getPendingSession(
  services: Services,
  secret: string | undefined,
  request: RequestFacts,
): Promise<Session> {
  const session = await findSession(services, secret, request)
  if (session.record.awaitsSecondFactor) return session
  throw new Refusal('session_missing', { fact: 'the session awaits no second factor' })
}

/** Ends a session, if the secret is that of one. No node accepts it any more when this returns. */
export async function signOut(
  { db, clock }: Services,
  secret: string | undefined,
  request: RequestFacts,
): Promise<void> {
  const now = clock.now()
  if (secret === undefined || !SECRET.test(secret)) return
  const found = await findLiveSession(db, digestSecret(secret), livenessAt(now))
  if (found === undefined) return
  await transact(db, async (trx) => {
    if (!(await endSession(trx, found.accountId, found.id, new Date(now)))) return
    if (found.awaitsSecondFactor) return
    const { accountId, accountName: name, organizationId } = found
    await recordChanges(trx, { accountId, kind: 'administrator', name, request }, now, [
      {
        organizationId,
        action: 'administrator.signed_out',
        target: { id: accountId, kind: 'administrator', name },
        changes: { after: { session_id: found.id } },
      },
    ])
  })
}

async function findSession(
  { db, clock }: Services,
  secret: string | undefined,
  request: RequestFacts,
): Promise<Session> {
  if (secret === undefined || !SECRET.test(secret)) throw new Refusal('session_missing')
  const now = clock.now()
  const record = await findLiveSession(db, digestSecret(secret), livenessAt(now))
  if (record === undefined) throw new Refusal('session_missing', { fact: 'unknown, ended, expired or idle' })
  if (now - record.lastSeenAt.getTime() >= TOUCH_SECONDS * 1000)
    await touchSession(db, record.id, new Date(now))
  return { record, actor: toActor(record, request) }
}

function toActor(record: SessionRecord, request: RequestFacts): Actor {
  return {
    accountId: record.accountId,
    kind: 'administrator',
    name: record.accountName,
    organizationId: record.organizationId,
    isOperator: record.organizationIsOperator,
    permissions: record.permissions,
    request,
  }
}
