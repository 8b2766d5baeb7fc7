import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database, SessionRow, SignInMethod } from '../tables.ts'
import type { Page } from './page.ts'

export type NewSession = {
  id: string
  accountId: string
  digest: Buffer
  method: SignInMethod
  awaitsSecondFactor: boolean
  createdAt: Date
  expiresAt: Date
  ip: string | null
  userAgent: string | null
}

/** A session as the database knows it now, and whose it is. */
export type SessionRecord = SessionRow & {
  accountName: string
  accountEmail: string
  organizationId: string
  organizationSlug: string
  organizationName: string
  organizationIsOperator: boolean
  /** What the account may do at the management API now. */
  permissions: string[]
}

/** Which sessions are alive: neither ended nor expired, nor idle since before a time. */
export type Liveness = { now: Date; seenSince: Date }

/**
 * Begins a session of an active account in an active organization; answers whether there was one. The
 * generation comes from the same snapshot as the states: a session that begins while its account is being
 * disabled is over as soon as that is done.
 */
export async function insertSession(trx: Transaction<Database>, session: NewSession): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    insert into sessions (id, account_id, digest, method, awaits_second_factor, token_generation, created_at,
                          expires_at, last_seen_at, ip, user_agent)
    select ${session.id}, a.id, ${session.digest}, ${session.method}, ${session.awaitsSecondFactor},
           o.token_generation + a.token_generation, ${session.createdAt}, ${session.expiresAt},
           ${session.createdAt}, ${session.ip}, ${session.userAgent}
    from accounts a
    join organizations o on o.id = a.organization_id and o.status = 'active'
    where a.id = ${session.accountId} and a.kind = 'administrator' and a.status = 'active'
    returning id`.execute(trx)
  return rows.length > 0
}

/** The live session with that digest. Nothing of it is remembered: every request asks anew (promise 1). */
export function findLiveSession(
  db: Kysely<Database>,
  digest: Buffer,
  liveness: Liveness,
): Promise<SessionRecord | undefined> {
  return liveSessions(db, liveness)
    .selectAll('s')
    .select([
      'a.name as accountName',
      'a.email as accountEmail',
      'o.id as organizationId',
      'o.slug as organizationSlug',
      'o.name as organizationName',
      'o.isOperator as organizationIsOperator',
      sql<string[]>`array(
        select distinct p.permission from effective_permissions p
        join resource_servers rs on rs.id = p.resource_server_id and rs.built_in
        where p.account_id = a.id order by p.permission)`.as('permissions'),
    ])
    .where('s.digest', '=', digest)
    .executeTakeFirst()
}

/** Whose session that is or was, whether it lives or not. */
export async function findSessionOwner(db: Kysely<Database>, digest: Buffer): Promise<string | undefined> {
  const session = await db
    .selectFrom('sessions')
    .select('accountId')
    .where('digest', '=', digest)
    .executeTakeFirst()
  return session?.accountId
}

/** An administrator's live sessions. */
export function listLiveSessions(
  db: Kysely<Database>,
  accountId: string,
  page: Page & Liveness,
): Promise<SessionRow[]> {
  return liveSessions(db, page)
    .selectAll('s')
    .where('s.accountId', '=', accountId)
    .$if(page.before !== undefined, (query) => query.where('s.id', '<', page.before ?? ''))
    .orderBy('s.id', 'desc')
    .limit(page.limit)
    .execute()
}

/** How many live sessions an administrator has. */
export async function countLiveSessions(
  db: Kysely<Database>,
  accountId: string,
  liveness: Liveness,
): Promise<number> {
  const { count } = await liveSessions(db, liveness)
    .select((select) => select.fn.countAll<string>().as('count'))
    .where('s.accountId', '=', accountId)
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** Notes that a session is used. */
export async function touchSession(db: Kysely<Database>, id: string, now: Date): Promise<void> {
  await db
    .updateTable('sessions')
    .set({ lastSeenAt: now })
    .where('id', '=', id)
    .where('lastSeenAt', '<', now)
    .execute()
}

/** Ends one session. Answers whether there was one to end. */
export async function endSession(
  trx: Transaction<Database>,
  accountId: string,
  id: string,
  now: Date,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('sessions')
    .set({ endedAt: now })
    .where('accountId', '=', accountId)
    .where('id', '=', id)
    .where('endedAt', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Ends all sessions of an account, but for the one that is named; answers how many. */
export async function endSessions(
  trx: Transaction<Database>,
  accountId: string,
  options: { except?: string; now: Date },
): Promise<number> {
  const { numUpdatedRows } = await trx
    .updateTable('sessions')
    .set({ endedAt: options.now })
    .where('accountId', '=', accountId)
    .where('endedAt', 'is', null)
    .where('expiresAt', '>', options.now)
    .$if(options.except !== undefined, (query) => query.where('id', '!=', options.except ?? ''))
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

/** Forgets sessions of an account that began before a time. */
export async function deleteSessionsBefore(
  trx: Transaction<Database>,
  accountId: string,
  before: Date,
): Promise<void> {
  await trx
    .deleteFrom('sessions')
    .where('accountId', '=', accountId)
    .where('createdAt', '<', before)
    .execute()
}

function liveSessions(db: Kysely<Database>, { now, seenSince }: Liveness) {
  return db
    .selectFrom('sessions as s')
    .innerJoin('accounts as a', 'a.id', 's.accountId')
    .innerJoin('organizations as o', 'o.id', 'a.organizationId')
    .where('s.endedAt', 'is', null)
    .where('s.expiresAt', '>', now)
    .where('s.lastSeenAt', '>', seenSince)
    .where('a.status', '=', 'active')
    .where('o.status', '=', 'active')
    .where(sql<boolean>`s.token_generation = o.token_generation + a.token_generation`)
}
