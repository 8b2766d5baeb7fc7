import { type AuditContent, type ChainHead, describeEvent } from '../database/audit-chain.ts'
import { findHead } from '../database/queries/audit-chain.ts'
import {
  listAccountEvents as queryAccountEvents,
  listAuditEvents as queryEvents,
} from '../database/queries/audit-events.ts'
import { type IssuedToken, listIssuedTokens } from '../database/queries/issued-tokens.ts'
import type { Page } from '../database/queries/page.ts'
import type { AuditEventRow } from '../database/tables.ts'
import { type IdPrefix, isId, timeOfId } from '../ids.ts'
import type { Actor } from './actor.ts'
import { createdAs } from './audit.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { getOrganizationEver } from './reach.ts'
import { type AccountPath, getServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

/** Which part of the trail: conditions that are given must all hold. `from` is included, `to` is not. */
export type TrailFilter = {
  actorId: string | undefined
  targetId: string | undefined
  action: string | undefined
  requestId: string | undefined
  /** The end user for whom an account acted: only issued tokens have one. */
  subject: string | undefined
  from: Date | undefined
  to: Date | undefined
  /** Issued tokens are left out when false. */
  includeTokens: boolean
}

/** An event with its place in the organization's chain; an issued token, which is none of its events, has none. */
export type TrailEntry = AuditContent & {
  chain: { sequence: number; previousHash: Buffer; hash: Buffer } | null
}

export const TOKEN_ISSUED = 'token.issued'

/**
 * Entries that an export reads at a time: what of it is in memory. No more than a page has: an event can say as much
 * as a body can, before and after.
 */
const ENTRIES_PER_BATCH = 200
/** How far the clock may step between the beginning of a request and the token that it made. */
const REQUEST_MILLISECONDS = 600_000

type Services = Pick<DirectoryServices, 'db'>

/** An organization's trail, newest first, for the platform also when it is deleted. Throws Refusal `resource_not_found`. */
export async function listAuditEvents(
  { db }: Services,
  actor: Actor,
  organizationId: string,
  filter: TrailFilter,
  request: PageRequest,
): Promise<Listing<TrailEntry>> {
  const { id } = await getOrganizationEver(db, actor, organizationId)
  return readPage(request, (page) => readTrail(db, id, filter, page))
}

/**
 * What was done to a service account and its keys, and what it did itself, newest first; the tokens that it got are
 * apart. Throws Refusal `resource_not_found`.
 */
export async function listAccountEvents(
  { db }: Services,
  actor: Actor,
  path: AccountPath,
  request: PageRequest,
): Promise<Listing<TrailEntry>> {
  const { organization, account } = await getServiceAccount(db, actor, path)
  const about = { organizationId: organization.id, accountId: account.id }
  return readPage(request, async (page) => (await queryAccountEvents(db, about, page)).map(fromEvent))
}

/**
 * The whole trail in batches, newest first. Each batch is a statement of its own, read when it is asked for: a
 * reader that pauses holds nothing. Throws Refusal `resource_not_found`.
 */
export async function exportAuditEvents(
  { db }: Services,
  actor: Actor,
  organizationId: string,
  filter: TrailFilter,
): Promise<AsyncGenerator<TrailEntry[]>> {
  const { id } = await getOrganizationEver(db, actor, organizationId)
  return readBatches(db, id, filter)
}

/** An entry as the API and every export show it: what its hash is over, and its place in the chain. */
export function presentEntry({ chain, ...content }: TrailEntry) {
  return {
    ...describeEvent(content),
    chain: chain && {
      sequence: chain.sequence,
      previous_hash: chain.previousHash.toString('hex'),
      hash: chain.hash.toString('hex'),
    },
  }
}

/**
 * The newest event of an organization's chain, by which somebody who keeps it elsewhere sees later whether the past was
 * changed; undefined when it was taken away. Throws Refusal `resource_not_found`.
 */
export async function findChainHead(
  { db }: Services,
  actor: Actor,
  organizationId: string,
): Promise<ChainHead | undefined> {
  const { id } = await getOrganizationEver(db, actor, organizationId)
  return findHead(db, id)
}

async function* readBatches(
  db: Services['db'],
  organizationId: string,
  filter: TrailFilter,
): AsyncGenerator<TrailEntry[]> {
  const page: Page = { limit: ENTRIES_PER_BATCH, before: undefined }
  for (;;) {
    const entries = await readTrail(db, organizationId, filter, page)
    yield entries
    page.before = entries.at(-1)?.id
    if (entries.length < ENTRIES_PER_BATCH) return
  }
}

/**
 * Merges the two halves of the trail. Ids of both begin with their time and differ in the prefix alone, so a
 * token stands in the trail under its own id with the prefix of events, and one position serves both.
 */
async function readTrail(
  db: Services['db'],
  organizationId: string,
  filter: TrailFilter,
  page: Page,
): Promise<TrailEntry[]> {
  const [events, tokens] = await Promise.all([
    readEvents(db, organizationId, filter, page),
    readTokens(db, organizationId, filter, page),
  ])
  const entries = [...events.map(fromEvent), ...tokens.map(fromToken)]
  return entries.sort((one, other) => (one.id < other.id ? 1 : -1)).slice(0, page.limit)
}

async function readEvents(
  db: Services['db'],
  organizationId: string,
  filter: TrailFilter,
  page: Page,
): Promise<AuditEventRow[]> {
  if (filter.action === TOKEN_ISSUED || filter.subject !== undefined) return []
  return queryEvents(db, organizationId, filter, page)
}

async function readTokens(
  db: Services['db'],
  organizationId: string,
  filter: TrailFilter,
  page: Page,
): Promise<IssuedToken[]> {
  const { actorId, targetId, action, requestId, subject, includeTokens } = filter
  if (action !== undefined && action !== TOKEN_ISSUED) return []
  if (targetId !== undefined && !isId('tok', targetId)) return []
  if (!includeTokens && action === undefined) return []
  return listIssuedTokens(
    db,
    organizationId,
    { accountId: actorId, tokenId: targetId, requestId, delegatedSubject: subject, ...boundsOf(filter) },
    {
      limit: page.limit,
      before: page.before === undefined ? undefined : `tok_${page.before.slice('evt_'.length)}`,
      beforeTime: timeOf('evt', page.before),
    },
  )
}

/** A token's id says when it was made, and so does a request id that the server has chosen. */
function boundsOf(filter: TrailFilter): { from: number; to: number } {
  const bounds = [
    { from: filter.from?.getTime() ?? -Infinity, to: filter.to?.getTime() ?? Infinity },
    windowAround(timeOf('tok', filter.targetId), 1),
    windowAround(timeOf('req', filter.requestId), REQUEST_MILLISECONDS),
  ]
  return {
    from: Math.max(...bounds.map((bound) => bound.from)),
    to: Math.min(...bounds.map((bound) => bound.to)),
  }
}

function windowAround(time: number | undefined, milliseconds: number): { from: number; to: number } {
  return time === undefined
    ? { from: -Infinity, to: Infinity }
    : { from: time - milliseconds, to: time + milliseconds }
}

function timeOf(prefix: IdPrefix, id: string | undefined): number | undefined {
  return id === undefined ? undefined : timeOfId(prefix, id)
}

function fromEvent({ sequence, previousHash, hash, ...content }: AuditEventRow): TrailEntry {
  return { ...content, chain: { sequence: Number(sequence), previousHash, hash } }
}

function fromToken(token: IssuedToken): TrailEntry {
  const { keyId, resourceServerId, subject, scope, tokenFormat, expiresAt, confirmation } = token
  return {
    id: `evt_${token.id.slice('tok_'.length)}`,
    at: new Date(timeOfId('tok', token.id) ?? token.issuedAt),
    organizationId: token.organizationId,
    actorId: token.accountId,
    actorKind: token.accountKind,
    actorName: token.accountName,
    action: TOKEN_ISSUED,
    targetId: token.id,
    targetKind: 'token',
    targetName: null,
    changes: {
      after: {
        ...createdAs({ keyId, resourceServerId, subject, scope, tokenFormat, expiresAt }).after,
        ...(confirmation && { cnf: confirmation }),
      },
    },
    reason: null,
    count: null,
    ip: token.clientIp,
    userAgent: token.userAgent,
    requestId: token.requestId,
    chain: null,
  }
}
