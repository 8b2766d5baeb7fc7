import type { Clock } from '../../src/clock.ts'

/** The machine's clock with an offset that a test moves. */
export type TestClock = Clock & { advance(seconds: number): void }

export function createTestClock(): TestClock {
  let offsetMilliseconds = 0
  return {
    now: () => Date.now() + offsetMilliseconds,
    advance(seconds) {
      offsetMilliseconds += seconds * 1000
    },
  }
}
