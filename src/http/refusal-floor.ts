/**
 * How long after its request a refusal is answered at the earliest: several times what one takes on a server that is
 * not busy, and nothing that whoever is refused would notice.
 */
export const REFUSAL_FLOOR_MILLISECONDS = 25

/** To be called when a request arrives; resolves when a refusal of it may be answered. */
export type RefusalFloor = () => Promise<void>

/**
 * Gives refusals one time: whether there is such an account, whether a signature had to be checked and what the database
 * found, all that is over before any of them is answered (docs/decisions/0036).
 *
 * The clock is set when the request arrives and not once it is refused: timers count whole milliseconds, and from the end
 * of the work on they would hand its fractions on.
 */
export function createRefusalFloor(milliseconds = REFUSAL_FLOOR_MILLISECONDS): RefusalFloor {
  return () => new Promise((resolve) => setTimeout(resolve, milliseconds))
}
