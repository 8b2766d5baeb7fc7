import { type ChainHead, GENESIS_HASH, hashEvent } from '../database/audit-chain.ts'
import type { Db } from '../database/connect.ts'
import { type Chain, type ChainReading, listChains, readChain } from '../database/queries/audit-chain.ts'
import type { AuditAnchorRow, AuditEventRow } from '../database/tables.ts'

/** What is wrong at a break; `docs/audit.md` says what each of them can come from. */
export type Fault =
  | 'content_changed'
  | 'event_missing'
  | 'event_inserted'
  | 'event_moved'
  | 'link_broken'
  | 'head_missing'

/** The first place at which a chain does not hold. What comes after it was not looked at. */
export type Break = { fault: Fault; sequence: number; eventId: string | null; detail: string }

/** What was found in the chain of an organization, up to its end or to the first break. */
export type ChainReport = {
  organizationId: string
  slug: string | null
  /** How many events hold. */
  events: number
  first: { sequence: number; at: Date } | undefined
  last: { sequence: number; at: Date; hash: Buffer } | undefined
  /** Runs of events that retention has dropped, and that the chain goes on over. */
  dropped: { first: number; last: number; at: Date }[]
  break: Break | undefined
}

/** How far from its place an event is looked for that was moved. */
const MAX_DISTANCE = 10_000
/** How far the clocks of nodes may differ, far beyond what they do: who comes first around the turn of a month. */
const TURN_MILLISECONDS = 86_400_000

/**
 * Recomputes the chains of all organizations, or of the one with that slug, one after the other and each as it
 * is at one moment. Memory does not grow with their length. Changes nothing.
 */
export async function* verifyChains(db: Db, slug?: string): AsyncGenerator<ChainReport> {
  for (const chain of await listChains(db, slug)) {
    yield await readChain(db, chain.organizationId, (reading) => verifyChain(chain, reading))
  }
}

async function verifyChain(chain: Chain, { head, anchors, events }: ChainReading): Promise<ChainReport> {
  const { organizationId, slug } = chain
  const report: ChainReport = {
    ...{ organizationId, slug, events: 0, dropped: [] },
    ...{ first: undefined, last: undefined, break: undefined },
  }
  if (head === undefined) return { ...report, break: headMissing() }
  if (head.sequence === 0) return { ...report, break: beginningMissing() }

  let place: ChainHead = { sequence: 0, hash: GENESIS_HASH }
  let faulty: { event: AuditEventRow; found: Break } | undefined
  for await (const event of events) {
    if (faulty !== undefined) return { ...report, break: nameTwins(faulty, event) }
    const sequence = Number(event.sequence)
    place = skipDropped(place, sequence - 1, anchors, report)
    const found = findFault(event, place, head)
    if (found === undefined) {
      place = { sequence, hash: event.hash }
      report.events++
      report.first ??= { sequence, at: event.at }
      report.last = { sequence, at: event.at, hash: event.hash }
    } else {
      // The next one may claim the same place, and then tells which of them does not belong.
      faulty = { event, found }
    }
  }
  if (faulty !== undefined) return { ...report, break: faulty.found }
  place = skipDropped(place, head.sequence, anchors, report)
  return { ...report, break: findFaultAtEnd(place, head) }
}

/**
 * Where the chain goes on after what retention has dropped: as far as `until`, if its anchors reach so far. Retention
 * drops whole months, the oldest: an anchor for what comes after an event that was kept, but for the turn of a month,
 * was written by somebody else and counts for nothing.
 */
function skipDropped(
  from: ChainHead,
  until: number,
  anchors: readonly AuditAnchorRow[],
  report: ChainReport,
): ChainHead {
  let place = from
  for (const anchor of anchors) {
    const run = { first: Number(anchor.firstSequence), last: Number(anchor.lastSequence) }
    const follows = run.first === place.sequence + 1 && anchor.previousHash.equals(place.hash)
    if (!follows || run.last > until || !mayBeDroppedAfter(report.last)) continue
    report.dropped.push({ ...run, at: anchor.droppedAt })
    place = { sequence: run.last, hash: anchor.hash }
  }
  return place
}

function mayBeDroppedAfter(kept: ChainReport['last']): boolean {
  if (kept === undefined) return true
  const { at } = kept
  return at.getTime() - Date.UTC(at.getUTCFullYear(), at.getUTCMonth()) < TURN_MILLISECONDS
}

/** What is wrong with an event that comes after `place`. */
function findFault(event: AuditEventRow, place: ChainHead, head: ChainHead): Break | undefined {
  const sequence = Number(event.sequence)
  const broken = (fault: Fault, detail: string): Break => ({ fault, sequence, eventId: event.id, detail })

  if (sequence <= place.sequence) return broken('event_inserted', `sequence ${sequence} stands here twice`)
  if (sequence > place.sequence + 1) {
    const missing = describeRun(place.sequence + 1, sequence - 1)
    return { ...broken('event_missing', `missing: ${missing}`), sequence: place.sequence + 1, eventId: null }
  }
  if (sequence > head.sequence) {
    return broken('event_inserted', `the newest event that was ever written is ${head.sequence}`)
  }
  const isLinked = event.previousHash.equals(place.hash)
  const isSound = holdsAt(event, sequence)
  if (isLinked && isSound) return undefined
  if (isLinked) return broken('content_changed', 'its content is not what was hashed')
  const before = place.sequence === 0 ? 'the beginning' : `sequence ${place.sequence}`
  if (isSound) {
    return broken('link_broken', `it does not follow ${before}: one of the two was rewritten with its hash`)
  }
  const written = findWrittenSequence(event, sequence, head)
  return written === undefined
    ? broken('content_changed', 'its content or its previous hash is not what was hashed')
    : broken('event_moved', `it was written as sequence ${written}`)
}

function findFaultAtEnd(place: ChainHead, head: ChainHead): Break | undefined {
  if (place.sequence < head.sequence) {
    const detail = `missing: ${describeRun(place.sequence + 1, head.sequence)}, the newest`
    return { fault: 'event_missing', sequence: place.sequence + 1, eventId: null, detail }
  }
  if (place.hash.equals(head.hash)) return undefined
  const detail = 'the newest event is not the one that was written last: it was rewritten with its hash'
  return { fault: 'link_broken', sequence: place.sequence, eventId: null, detail }
}

/** Two events with one sequence: of a faulty one and a further one, it is enough to say so. */
function nameTwins({ event, found }: { event: AuditEventRow; found: Break }, next: AuditEventRow): Break {
  if (event.sequence !== next.sequence || found.fault === 'event_missing') return found
  const detail = `sequence ${event.sequence} stands here twice: ${event.id} and ${next.id}`
  return { ...found, fault: 'event_inserted', detail }
}

function headMissing(): Break {
  const detail = 'it is not known any more which event is the newest'
  return { fault: 'head_missing', sequence: 0, eventId: null, detail }
}

/** A trail begins with its organization. What was dropped after its retention is not forgotten by the head. */
function beginningMissing(): Break {
  const detail = 'missing: all; the head says that nothing was ever written'
  return { fault: 'event_missing', sequence: 1, eventId: null, detail }
}

function holdsAt(event: AuditEventRow, sequence: number): boolean {
  return hashEvent(event, { sequence, previousHash: event.previousHash }).equals(event.hash)
}

/** Under which sequence the event was hashed, if that is not far from where it stands. */
function findWrittenSequence(event: AuditEventRow, sequence: number, head: ChainHead): number | undefined {
  for (let distance = 1; distance <= MAX_DISTANCE; distance++) {
    for (const candidate of [sequence - distance, sequence + distance]) {
      // One more than the head: where an event was taken out, all after it may have been moved up.
      if (candidate < 1 || candidate > head.sequence + 1) continue
      if (holdsAt(event, candidate)) return candidate
    }
  }
  return undefined
}

function describeRun(first: number, last: number): string {
  return first === last ? `sequence ${first}` : `sequences ${first} to ${last}`
}
