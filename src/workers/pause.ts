/** A worker that lived so long has not died of its start. */
const SETTLED_MILLISECONDS = 60_000
const FIRST_PAUSE_MILLISECONDS = 500
const LONGEST_PAUSE_MILLISECONDS = 30_000

/** How often a place was lost in a row, by workers that died soon after their start. */
export function countLoss(before: number, livedMilliseconds: number): number {
  return livedMilliseconds < SETTLED_MILLISECONDS ? before + 1 : 1
}

/** How long, in milliseconds, a place stays empty that was lost so often in a row: not at all after the first loss. */
export function pauseAfter(losses: number): number {
  return losses <= 1 ? 0 : Math.min(FIRST_PAUSE_MILLISECONDS * 2 ** (losses - 2), LONGEST_PAUSE_MILLISECONDS)
}
