import type { SigningAlgorithm, SigningKeyRow } from '../database/tables.ts'

/** What access tokens can be signed with: each has one key that signs and one that stands ready. */
export const SIGNING_ALGORITHMS: readonly SigningAlgorithm[] = ['ES256', 'RS256', 'EdDSA']

/** How long whoever verifies tokens may keep the published keys (`Cache-Control` of `jwks.json`). */
export const JWKS_CACHE_SECONDS = 300
/** How often a node looks for new keys without being asked for one. */
export const RELOAD_SECONDS = 60
/**
 * How long a key is published before it signs by plan: longer than caches that heed `Cache-Control`, and than those
 * of the usual libraries, which keep keys for ten minutes or so whatever we say.
 */
export const PUBLISHED_AHEAD_SECONDS = 3_600
/** The longest that a token can live (`token_lifetime_seconds` of a resource server). */
export const MAX_TOKEN_LIFETIME_SECONDS = 86_400
/** What clocks may differ by: between nodes, and between them and whoever verifies (RFC 7519 §4.1.4). */
export const LEEWAY_SECONDS = 600

const DAY_SECONDS = 86_400

/** What of a key decides about its turn. */
export type KeyTurn = Pick<
  SigningKeyRow,
  'id' | 'algorithm' | 'status' | 'createdAt' | 'activatedAt' | 'retiredAt'
>

/** One change of the set of keys. They are made in their order: an algorithm never has two active keys. */
export type Step<Key extends KeyTurn = KeyTurn> =
  | { kind: 'create'; algorithm: SigningAlgorithm; status: 'next' | 'active' }
  | { kind: 'activate' | 'retire' | 'remove' | 'revoke'; key: Key }

/**
 * What is due at `now` (milliseconds): keys that are missing are made, active ones change with those that stand ready
 * once they are `rotationDays` old, and retired ones leave when no token of theirs can be valid any more. Pure.
 */
export function planMaintenance<Key extends KeyTurn>(
  keys: readonly Key[],
  now: number,
  rotationDays: number,
): Step<Key>[] {
  return [
    ...SIGNING_ALGORITHMS.flatMap((algorithm) => {
      const { active, next } = turnsOf(keys, algorithm)
      if (active === undefined) return succeed(algorithm, next)
      if (next === undefined) return [{ kind: 'create', algorithm, status: 'next' } as const]
      return rotationDueAt(active, next, rotationDays) <= now ? change(active, next) : []
    }),
    ...keys
      .filter((key) => key.status === 'retiring' && removalDueAt(key) <= now)
      .map((key) => ({ kind: 'remove', key }) as const),
  ]
}

/**
 * The change of all active keys, ahead of time. Keys that have not been published for long enough stand in the way:
 * those are answered as `unready`, and nothing is to be done then. Pure.
 */
export function planRotation<Key extends KeyTurn>(
  keys: readonly Key[],
  now: number,
): { steps: Step<Key>[]; unready: Key[] } {
  const pairs = SIGNING_ALGORITHMS.map((algorithm) => turnsOf(keys, algorithm))
  return {
    steps: pairs.flatMap(({ active, next }) => (active && next ? change(active, next) : [])),
    unready: pairs.flatMap(({ next }) => (next && readyAt(next) > now ? [next] : [])),
  }
}

/**
 * The end of one key at once. Whatever it was, its place is taken: by the key that stands ready, however long that has
 * been published, and by a new one. Nothing for a key that is gone. Pure.
 */
export function planRevocation<Key extends KeyTurn>(keys: readonly Key[], id: string): Step<Key>[] {
  const key = keys.find((candidate) => candidate.id === id)
  if (key === undefined || key.status === 'gone') return []
  const { algorithm } = key
  const revoke = { kind: 'revoke', key } as const
  if (key.status === 'retiring') return [revoke]
  if (key.status === 'next') return [revoke, { kind: 'create', algorithm, status: 'next' }]
  return [revoke, ...succeed(algorithm, turnsOf(keys, algorithm).next)]
}

/** When the server itself means to move a key on, in milliseconds; undefined for one that is gone. Pure. */
export function dueAt(key: KeyTurn, keys: readonly KeyTurn[], rotationDays: number): number | undefined {
  const { active, next } = turnsOf(keys, key.algorithm)
  if (key.status === 'gone') return undefined
  if (key.status === 'retiring') return removalDueAt(key)
  return active && next && rotationDueAt(active, next, rotationDays)
}

/** The keys that sign: for how long they have, and how long until others take over, in seconds. Pure. */
export function observeActive(keys: readonly KeyTurn[], now: number, rotationDays: number) {
  return keys
    .filter((key) => key.status === 'active')
    .map((key) => ({
      algorithm: key.algorithm,
      ageSeconds: (now - (key.activatedAt ?? key.createdAt).getTime()) / 1000,
      rotationInSeconds: ((dueAt(key, keys, rotationDays) ?? Number.NaN) - now) / 1000,
    }))
}

/** From when on a key that stands ready may sign by plan, in milliseconds. Pure. */
export function readyAt(next: KeyTurn): number {
  return next.createdAt.getTime() + PUBLISHED_AHEAD_SECONDS * 1000
}

function rotationDueAt(active: KeyTurn, next: KeyTurn, rotationDays: number): number {
  const since = active.activatedAt ?? active.createdAt
  return Math.max(since.getTime() + rotationDays * DAY_SECONDS * 1000, readyAt(next))
}

function removalDueAt(key: KeyTurn): number {
  const since = key.retiredAt ?? key.createdAt
  return since.getTime() + (MAX_TOKEN_LIFETIME_SECONDS + LEEWAY_SECONDS) * 1000
}

function turnsOf<Key extends KeyTurn>(keys: readonly Key[], algorithm: SigningAlgorithm) {
  const own = keys.filter((key) => key.algorithm === algorithm)
  return {
    active: own.find((key) => key.status === 'active'),
    next: own.find((key) => key.status === 'next'),
  }
}

function change<Key extends KeyTurn>(active: Key, next: Key): Step<Key>[] {
  return [{ kind: 'retire', key: active }, ...succeed(next.algorithm, next)]
}

/** Fills the place of an active key that is not, or no longer, there. */
function succeed<Key extends KeyTurn>(algorithm: SigningAlgorithm, next: Key | undefined): Step<Key>[] {
  const standby = { kind: 'create', algorithm, status: 'next' } as const
  return next === undefined
    ? [{ kind: 'create', algorithm, status: 'active' }, standby]
    : [{ kind: 'activate', key: next }, standby]
}
