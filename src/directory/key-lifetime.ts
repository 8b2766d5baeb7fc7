import type { OrganizationSettings } from '../database/tables.ts'
import { Refusal } from '../errors.ts'

const DAY_MILLISECONDS = 86_400_000

/** When a key is valid; null on either side means without a bound. */
export type KeyLifetime = { notBefore: Date | null; expiresAt: Date | null }

/**
 * When a new key is valid. An organization that limits the life of keys gets its limit where no expiry is
 * asked for; one that is asked for is never shortened in silence.
 * Pure. Throws Refusal `input_invalid`.
 */
export function requireLifetime(
  asked: { notBefore: Date | null | undefined; expiresAt: Date | null | undefined },
  settings: OrganizationSettings,
  now: number,
): KeyLifetime {
  const notBefore = asked.notBefore ?? null
  const latest = latestExpiry(settings, Math.max(now, notBefore?.getTime() ?? now))
  const expiresAt = asked.expiresAt === undefined ? latest : asked.expiresAt
  assertExpiry(expiresAt, notBefore, latest, settings, now)
  return { notBefore, expiresAt }
}

/**
 * Judges a new expiry of a key that exists. The limit counts from the key's beginning, so that a key cannot
 * be prolonged for ever.
 * Pure. Throws Refusal `input_invalid`.
 */
export function assertNewExpiry(
  expiresAt: Date | null,
  key: { notBefore: Date | null; createdAt: Date },
  settings: OrganizationSettings,
  now: number,
): void {
  const start = Math.max(key.createdAt.getTime(), key.notBefore?.getTime() ?? 0)
  assertExpiry(expiresAt, key.notBefore, latestExpiry(settings, start), settings, now)
}

function latestExpiry(settings: OrganizationSettings, start: number): Date | null {
  if (settings.maxKeyLifetimeDays === null) return null
  return new Date(start + settings.maxKeyLifetimeDays * DAY_MILLISECONDS)
}

function assertExpiry(
  expiresAt: Date | null,
  notBefore: Date | null,
  latest: Date | null,
  settings: OrganizationSettings,
  now: number,
): void {
  if (latest !== null && (expiresAt === null || expiresAt > latest)) {
    throw fault(
      `must be within ${settings.maxKeyLifetimeDays} days, the longest that the organization allows`,
    )
  }
  assertExpiresLater(expiresAt, now)
  if (expiresAt !== null && notBefore !== null && expiresAt <= notBefore)
    throw fault('must be later than not_before')
}

/** Judges an expiry that nobody limits. Pure. Throws Refusal `input_invalid`. */
export function assertExpiresLater(expiresAt: Date | null, now: number): void {
  if (expiresAt !== null && expiresAt.getTime() <= now) throw fault('must lie in the future')
}

function fault(detail: string): Refusal {
  return new Refusal('input_invalid', { fault: detail }, { faults: [{ pointer: '/expires_at', detail }] })
}
