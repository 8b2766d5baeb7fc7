import type { SessionRow } from '../../database/tables.ts'
import * as directory from '../../directory/administrator-sessions.ts'
import { accountOf, type Call, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

export async function listSessions(call: Call): Promise<Reply> {
  const listing = await directory.listSessions(call.services, call.actor, accountOf(call), pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

export async function endAllSessions(call: Call): Promise<Reply> {
  await directory.endAllSessions(call.services, call.actor, accountOf(call))
  return { status: 204 }
}

export async function endSession(call: Call): Promise<Reply> {
  await directory.endSession(call.services, call.actor, accountOf(call), call.params.ses as string)
  return { status: 204 }
}

function present(session: SessionRow) {
  return {
    id: session.id,
    account_id: session.accountId,
    method: session.method,
    awaits_second_factor: session.awaitsSecondFactor,
    created_at: showTime(session.createdAt),
    expires_at: showTime(session.expiresAt),
    last_seen_at: showTime(session.lastSeenAt),
    ip: session.ip,
    user_agent: session.userAgent,
  }
}
