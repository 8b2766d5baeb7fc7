/** The only source of the current time. Everything that judges time takes one, or takes `now`. */
export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() }

/** NumericDate (RFC 7519 §2) of a time in milliseconds: whole seconds, rounded down. */
export function toNumericDate(milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}
