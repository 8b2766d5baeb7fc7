import { Refusal } from '../errors.ts'

/** PostgreSQL and RFC 3339 agree on four digits. `Date.UTC` would take the year 1 for 1901. */
const LATEST = Date.parse('9999-12-31T23:59:59.999Z')
const EARLIEST = Date.parse('0001-01-01T00:00:00Z')

/**
 * A time of a body: null and undefined stay what they are. The contract has checked the form; what is left are
 * leap seconds and times outside of the years 1 to 9999. Throws Refusal `input_invalid`.
 */
export function toTime(text: string | null | undefined, pointer: string): Date | null | undefined {
  if (text === undefined || text === null) return text
  const time = parseTime(text)
  if (time !== undefined) return time
  const detail = 'must be a time that exists, from the year 1 to 9999'
  throw new Refusal('input_invalid', { pointer }, { faults: [{ pointer, detail }] })
}

/** A time of the query. Throws Refusal `request_malformed`. */
export function toQueryTime(text: string, name: string): Date {
  const time = parseTime(text)
  if (time !== undefined) return time
  throw new Refusal('request_malformed', { name }, { hint: `${name} must be a time that exists.` })
}

/** A time as it is shown: RFC 3339 in UTC, to the millisecond. */
export function showTime(time: Date): string
export function showTime(time: Date | null): string | null
export function showTime(time: Date | null): string | null {
  return time === null ? null : time.toISOString()
}

function parseTime(text: string): Date | undefined {
  const milliseconds = Date.parse(text)
  if (Number.isNaN(milliseconds) || milliseconds < EARLIEST || milliseconds > LATEST) return undefined
  return new Date(milliseconds)
}
