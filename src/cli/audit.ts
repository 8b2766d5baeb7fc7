import { readConfig } from '../config.ts'
import { prepareSchema } from '../database/open.ts'
import { type Break, type ChainReport, type Fault, verifyChains } from '../directory/audit-verification.ts'
import { OperatorError } from '../errors.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'
import { withDatabase } from './with-database.ts'

export type VerifyOptions = ConfigurationFlags & { organization?: string }

/**
 * Recomputes the hash chains of the audit trail and prints what it finds, an organization a line. Throws
 * OperatorError when one is broken, or when there is no organization of that slug.
 */
export async function verifyAudit(options: VerifyOptions): Promise<void> {
  const config = readConfig(toSettings(options))
  const count = { chains: 0, broken: 0 }
  await withDatabase(config, async (database) => {
    await prepareSchema(database, config)
    for await (const report of verifyChains(database.db, options.organization)) {
      process.stdout.write(`${describe(report)}\n`)
      count.chains++
      if (report.break !== undefined) count.broken++
    }
  })
  if (count.chains === 0) {
    throw new OperatorError(`There is no organization with the slug ${options.organization}.`)
  }
  if (count.broken > 0) {
    throw new OperatorError(
      `${count.broken} of ${count.chains} ${count.chains === 1 ? 'trail is' : 'trails are'} broken.`,
    )
  }
}

function describe(report: ChainReport): string {
  const name = `${report.slug ?? 'unknown organization'} (${report.organizationId})`
  if (report.break === undefined) return `${name}: ok, ${describeEvents(report)}${describeDropped(report)}`
  return `${name}: BROKEN at ${describeBreak(report.break)}; before it: ${describeEvents(report)}${describeDropped(report)}`
}

function describeEvents({ events, first, last }: ChainReport): string {
  if (first === undefined || last === undefined) return 'no events'
  return (
    `${events} ${events === 1 ? 'event' : 'events'}, from ${first.at.toISOString()} to ${last.at.toISOString()}, ` +
    `sequence ${first.sequence} to ${last.sequence}, hash ${last.hash.toString('hex')}`
  )
}

function describeDropped({ dropped }: ChainReport): string {
  return dropped
    .map(({ first, last, at }) => `; ${first} to ${last} were dropped after their retention on ${day(at)}`)
    .join('')
}

function describeBreak({ fault, sequence, eventId, detail }: Break): string {
  const event = eventId === null ? '' : `, event ${eventId}`
  return `sequence ${sequence}${event}: ${FAULTS[fault]} (${detail})`
}

const FAULTS: Readonly<Record<Fault, string>> = {
  content_changed: 'content changed',
  event_missing: 'event missing',
  event_inserted: 'event inserted',
  event_moved: 'events reordered',
  link_broken: 'event rewritten',
  head_missing: 'head of the chain missing',
}

function day(time: Date): string {
  return time.toISOString().slice(0, 10)
}
