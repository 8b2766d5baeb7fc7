import { listKeyNames } from '../database/queries/keys.ts'
import { countTokensOfDay, listTalliedDays, listTallies } from '../database/queries/token-tallies.ts'
import { DAY_MILLISECONDS, dayOf, TALLIED_DAYS } from '../database/token-tallies.ts'
import type { Actor } from './actor.ts'
import { type AccountPath, getServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

/** Days at the end that are counted from the records if they were not yet: today, and one whose count is due. */
const UNTALLIED_DAYS = 3

/** Tokens that were issued to one account, by day and key. */
export type TokenStatistics = {
  /** Midnights in UTC, the oldest first; today is the last. */
  days: readonly Date[]
  /** The key that got most comes first. Each has a count for each day; null for one that nobody counted. */
  keys: readonly { id: string; name: string; counts: readonly (number | null)[]; total: number }[]
  /** Whether all days have counts. */
  isComplete: boolean
}

/** The last thirty days of an account. Throws Refusal `resource_not_found`. */
export async function getTokenStatistics(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  path: AccountPath,
): Promise<TokenStatistics> {
  const { account } = await getServiceAccount(db, actor, path)
  const days = lastDays(clock.now())
  const first = new Date(days[0] as number)
  const [tallies, tallied] = await Promise.all([
    listTallies(db, account.id, first),
    listTalliedDays(db, first),
  ])
  // Before it was there, an account got nothing.
  const known = new Set([
    ...tallied.map((day) => day.getTime()),
    ...days.filter((day) => day < dayOf(account.createdAt.getTime())),
  ])
  const open = days.slice(-UNTALLIED_DAYS).filter((day) => !known.has(day))
  const counted = await Promise.all(open.map((day) => countTokensOfDay(db, account.id, day)))
  for (const day of open) known.add(day)
  const all = [...tallies, ...counted.flat()]
  const names = await listKeyNames(db, account.id, [...new Set(all.map(({ keyId }) => keyId))])
  return {
    days: days.map((day) => new Date(day)),
    keys: names.map((key) => toSeries(key, days)).sort((one, other) => other.total - one.total),
    isComplete: days.every((day) => known.has(day)),
  }

  function toSeries({ id, name }: { id: string; name: string }, days: readonly number[]) {
    const own = new Map(
      all.filter(({ keyId }) => keyId === id).map(({ day, tokens }) => [day.getTime(), tokens]),
    )
    const counts = days.map((day) => (known.has(day) ? (own.get(day) ?? 0) : null))
    return { id, name, counts, total: counts.reduce<number>((sum, tokens) => sum + (tokens ?? 0), 0) }
  }
}

function lastDays(now: number): number[] {
  const today = dayOf(now)
  return Array.from(
    { length: TALLIED_DAYS },
    (_, index) => today - (TALLIED_DAYS - 1 - index) * DAY_MILLISECONDS,
  )
}
