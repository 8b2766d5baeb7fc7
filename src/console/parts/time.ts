import { type Html, html } from '../html.ts'

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** From here on a date says more. */
const FAR_DAYS = 45

const DATE = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeZone: 'UTC' })

/**
 * A time as people say it, with the exact one on hover and focus. `now` in milliseconds; `never` stands for null.
 */
export function time(at: Date | null, now: number, never = 'never'): Html {
  if (at === null) return html`<span class="muted">${never}</span>`
  const iso = at.toISOString()
  return html`<time class="time" datetime="${iso}" tabindex="0" data-exact="${exactTime(at)}">${relativeTime(at.getTime(), now)}</time>`
}

/** Such as `2026-11-22 09:31:07 UTC`. */
export function exactTime(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** When something was last used, and from where as far as that is known, in a sentence. `now` in milliseconds. Pure. */
export function lastUse(
  { lastUsedAt, lastUsedIp = null }: { lastUsedAt: Date | null; lastUsedIp?: string | null },
  now: number,
): string {
  if (lastUsedAt === null) return 'It has never been used.'
  return `Last used ${relativeTime(lastUsedAt.getTime(), now)}${lastUsedIp === null ? '' : ` from ${lastUsedIp}`}.`
}

/** Both in milliseconds. Pure. */
export function relativeTime(at: number, now: number): string {
  const seconds = Math.abs(now - at) / 1000
  if (seconds > FAR_DAYS * DAY) return DATE.format(at)
  if (seconds < 45) return at > now ? 'in a moment' : 'just now'
  const words = inUnits(seconds)
  return at > now ? `in ${words}` : `${words} ago`
}

function inUnits(seconds: number): string {
  if (seconds < 45 * MINUTE) return count(Math.max(1, Math.round(seconds / MINUTE)), 'minute')
  if (seconds < 22 * HOUR) return count(Math.max(1, Math.round(seconds / HOUR)), 'hour')
  return count(Math.max(1, Math.round(seconds / DAY)), 'day')
}

/** A length of time as people say it: `90 seconds`, `15 minutes`, `1 day`. Exact, in one unit. Pure. */
export function duration(seconds: number): string {
  if (seconds % DAY === 0) return count(seconds / DAY, 'day')
  if (seconds % HOUR === 0) return count(seconds / HOUR, 'hour')
  return seconds % MINUTE === 0 ? count(seconds / MINUTE, 'minute') : count(seconds, 'second')
}

/** `1 key`, `3 keys`. Pure. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}
