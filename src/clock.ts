/** The only source of the current time. Everything that judges time takes one, or takes `now`. */
export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() }

/** A task of this process that is done again and again. */
export type Repetition = {
  firstMilliseconds: number
  everyMilliseconds: number
  /** After a turn that failed. */
  retryMilliseconds: number
  /** Told of a turn that failed. */
  onFailure: (error: unknown) => void
}

/** Takes turns until the function that it answers is called, which waits for one under way. */
export function repeat(turn: () => Promise<unknown>, repetition: Repetition): () => Promise<void> {
  let underWay: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  const schedule = (milliseconds: number) => {
    timer = setTimeout(() => {
      underWay = takeTurn()
    }, milliseconds)
    timer.unref()
  }
  const takeTurn = async () => {
    let pause = repetition.everyMilliseconds
    try {
      await turn()
    } catch (error) {
      repetition.onFailure(error)
      pause = repetition.retryMilliseconds
    }
    if (timer !== undefined) schedule(pause)
  }
  schedule(repetition.firstMilliseconds)
  return async () => {
    clearTimeout(timer)
    timer = undefined
    await underWay
  }
}

/** NumericDate (RFC 7519 §2) of a time in milliseconds: whole seconds, rounded down. */
export function toNumericDate(milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}

/** A NumericDate after the year 9999 is milliseconds by mistake, or mischief. */
const LATEST_NUMERIC_DATE = 253_402_300_799

/** A NumericDate of a JWT (RFC 7519 §2), possibly with a fraction, within reason. JSON lets 1e400 become Infinity. */
export function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= LATEST_NUMERIC_DATE
}
