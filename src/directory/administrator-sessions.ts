import {
  countLiveSessions,
  endSession as endOne,
  endSessions,
  listLiveSessions,
} from '../database/queries/sessions.ts'
import type { SessionRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import type { Actor } from './actor.ts'
import { getAdministrator, lockAdministrator } from './administrator-reach.ts'
import { recordChanges } from './audit.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import type { AccountPath } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

/** How long a session lasts however much it is used, and how long without being used. */
export const SESSION_LIFETIME_SECONDS = 12 * 3600
const SESSION_IDLE_SECONDS = 3600

type Services = Pick<DirectoryServices, 'db' | 'clock'>

/** What is alive at `now` (milliseconds), for the queries. */
export function livenessAt(now: number): { now: Date; seenSince: Date } {
  return { now: new Date(now), seenSince: new Date(now - SESSION_IDLE_SECONDS * 1000) }
}

/** An administrator's live sessions, newest first. Throws Refusal `resource_not_found`. */
export async function listSessions(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
  request: PageRequest,
): Promise<Listing<SessionRow>> {
  const { administrator } = await getAdministrator(db, actor, path)
  return readPage(request, (page) =>
    listLiveSessions(db, administrator.id, { ...page, ...livenessAt(clock.now()) }),
  )
}

/** How many live sessions an administrator has. Throws Refusal `resource_not_found`. */
export async function countSessions(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
): Promise<number> {
  const { administrator } = await getAdministrator(db, actor, path)
  return countLiveSessions(db, administrator.id, livenessAt(clock.now()))
}

/**
 * Ends a session: no node accepts it any more when this returns. The second time nothing happens.
 * Throws Refusal `resource_not_found` when the administrator is not there.
 */
export async function endSession(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
  sessionId: string,
): Promise<void> {
  await transact(db, async (trx) => {
    const now = clock.now()
    const { administrator } = await lockAdministrator(trx, actor, path)
    if (!(await endOne(trx, administrator.id, sessionId, new Date(now)))) return
    await recordEnd(trx, actor, administrator, { sessionIds: [sessionId] }, now)
  })
}

/** Ends all sessions of an administrator, but for the one that is named; answers how many. Throws Refusal `resource_not_found`. */
export async function endAllSessions(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
  options: { except?: string } = {},
): Promise<number> {
  return transact(db, async (trx) => {
    const now = clock.now()
    const { administrator } = await lockAdministrator(trx, actor, path)
    const count = await endSessions(trx, administrator.id, { ...options, now: new Date(now) })
    if (count > 0) await recordEnd(trx, actor, administrator, { count }, now)
    return count
  })
}

async function recordEnd(
  trx: Parameters<typeof recordChanges>[0],
  actor: Actor,
  administrator: { id: string; name: string; organizationId: string },
  ended: { sessionIds: string[] } | { count: number },
  now: number,
): Promise<void> {
  await recordChanges(trx, actor, now, [
    {
      organizationId: administrator.organizationId,
      action: 'administrator.sessions_ended',
      target: { id: administrator.id, kind: 'administrator', name: administrator.name },
      changes:
        'count' in ended ? { after: { count: ended.count } } : { after: { session_ids: ended.sessionIds } },
    },
  ])
}
