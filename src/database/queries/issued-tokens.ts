import type { Kysely } from 'kysely'
import { firstIdOf } from '../../ids.ts'
import type { AccountKind, Database, GrantRecordRow } from '../tables.ts'
import type { Page } from './page.ts'

/** Which issued tokens: conditions that are given must all hold. `from` is included, `to` is not. */
export type IssuedTokenFilter = {
  accountId: string | undefined
  tokenId: string | undefined
  requestId: string | undefined
  /** Tokens that an account got to act for this end user. */
  delegatedSubject: string | undefined
  /** Milliseconds; infinite where there is no bound. */
  from: number
  to: number
}

/** The record of an issued token, and whose it is. */
export type IssuedToken = GrantRecordRow & { accountName: string; accountKind: AccountKind }

/**
 * A token's record lies in the partition of its assertion's expiry. An assertion lives an hour at most and may
 * have been accepted somewhat early or late; what a grant without an assertion puts there is within a day. So
 * these bounds hold for every token, and leave most partitions out.
 */
const EARLIER_MILLISECONDS = 86_400_000
const LATER_MILLISECONDS = 2 * 86_400_000

/**
 * Tokens issued to the accounts of an organization, newest first. An index is read in the order of ids, which
 * is that of time; `requestId` alone has none, so bounds of time keep that short.
 *
 * The accounts are joined to the page that was found. Joined to the records, of which there are millions, the planner may take the
 * page for too small to stop at, and reads them all.
 */
export function listIssuedTokens(
  db: Kysely<Database>,
  organizationId: string,
  filter: IssuedTokenFilter,
  page: Page & { beforeTime: number | undefined },
): Promise<IssuedToken[]> {
  const { accountId, tokenId, requestId, delegatedSubject, from, to } = filter
  const latest = Math.min(to, page.beforeTime ?? Infinity)
  let query = db.selectFrom('grantRecords as g').selectAll().where('g.organizationId', '=', organizationId)
  if (accountId !== undefined) query = query.where('g.accountId', '=', accountId)
  if (tokenId !== undefined) query = query.where('g.id', '=', tokenId)
  if (requestId !== undefined) query = query.where('g.requestId', '=', requestId)
  if (delegatedSubject !== undefined) {
    query = query.where('g.subject', '=', delegatedSubject).whereRef('g.subject', '<>', 'g.accountId')
  }
  if (Number.isFinite(from)) {
    query = query
      .where('g.id', '>=', firstIdOf('tok', from))
      .where('g.assertionExpiresAt', '>=', new Date(from - EARLIER_MILLISECONDS))
  }
  if (Number.isFinite(to)) query = query.where('g.id', '<', firstIdOf('tok', to))
  if (page.before !== undefined) query = query.where('g.id', '<', page.before)
  if (Number.isFinite(latest)) {
    query = query.where('g.assertionExpiresAt', '<', new Date(latest + LATER_MILLISECONDS))
  }
  return db
    .selectFrom(query.orderBy('g.id', 'desc').limit(page.limit).as('found'))
    .innerJoin('accounts as a', 'a.id', 'found.accountId')
    .selectAll('found')
    .select(['a.name as accountName', 'a.kind as accountKind'])
    .orderBy('found.id', 'desc')
    .execute()
}
