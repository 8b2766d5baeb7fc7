import { getSession, type Session } from '../../authentication/sessions.ts'
import type { SessionRow } from '../../database/tables.ts'
import * as directory from '../../directory/administrator-sessions.ts'
import type { AccountPath } from '../../directory/service-account-reach.ts'
import { isId } from '../../ids.ts'
import { type Call, pageOf, type Reply } from '../route.ts'

/** Everybody sees where they are signed in, and ends what should not be there, without asking an owner. */
export async function listSessions(call: Call): Promise<Reply> {
  const { services, secret, facts } = call
  const session = await getSession(services, secret, facts)
  const { items, nextCursor } = await directory.listSessions(
    services,
    session.actor,
    pathOf(session),
    pageOf(call),
  )
  const present = (each: SessionRow) => presentSession(each, session)
  return { status: 200, body: { items: items.map(present), next_cursor: nextCursor } }
}

export async function endOtherSessions({ services, secret, facts }: Call): Promise<Reply> {
  const session = await getSession(services, secret, facts)
  const except = session.record.id
  await directory.endAllSessions(services, session.actor, pathOf(session), { except })
  return { status: 204 }
}

export async function endSession({ services, secret, facts, req }: Call): Promise<Reply> {
  const session = await getSession(services, secret, facts)
  const id = String(req.params.ses)
  if (isId('ses', id)) await directory.endSession(services, session.actor, pathOf(session), id)
  return { status: 204 }
}

function pathOf({ record }: Session): AccountPath {
  return { organizationId: record.organizationId, accountId: record.accountId }
}

function presentSession(each: SessionRow, { record }: Session) {
  return {
    id: each.id,
    account_id: each.accountId,
    current: each.id === record.id,
    method: each.method,
    awaits_second_factor: each.awaitsSecondFactor,
    created_at: each.createdAt.toISOString(),
    expires_at: each.expiresAt.toISOString(),
    last_seen_at: each.lastSeenAt.toISOString(),
    ip: each.ip,
    user_agent: each.userAgent,
  }
}
