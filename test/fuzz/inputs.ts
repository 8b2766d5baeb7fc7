import { appendFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from '@jest/globals'
import fc from 'fast-check'
import { TARGETS, type Target } from './targets.ts'

/** All targets together, in an ordinary run of the tests. `npm run fuzz` asks for more. */
const ORDINARY_INPUTS = 4000
/** The same inputs in every ordinary run: a red one is about the change that made it. `npm run fuzz` varies it. */
const ORDINARY_SEED = 7523

/** Whatever is sent, an answer comes within this, on a busy machine too. */
const MAX_PURE_MILLISECONDS = 3000
const MAX_SERVED_MILLISECONDS = 30_000
/** What may stay in memory after any number of inputs: caches that fill up, compiled code. */
const MAX_GROWTH_OCTETS = 64 * 1024 * 1024
/** Memory is compared from here on: caches are warm, pools are full. */
const WARM_UP_PART = 0.2
/** Fewer inputs say nothing about memory. */
const MIN_MEASURED_INPUTS = 300
/** A served input may take this many times as long as a pure one; it decides how a time limit is shared. */
const SERVED_COST = 10

const MAX_MESSAGE_LENGTH = 6000

const weights: Record<string, number> = { ...TARGETS.pure, ...TARGETS.served }
const totalWeight = Object.values(weights).reduce((sum, weight) => sum + weight, 0)
const { FUZZ_INPUTS, FUZZ_MINUTES, FUZZ_SEED, FUZZ_PATH, FUZZ_REPORT } = process.env

/** What one call of `fuzz` did, a line of the file that `FUZZ_REPORT` names. */
export type FuzzReport = { target: Target; tried: number; asked: number; seed: number; failed: boolean }

/**
 * Holds a property for many inputs: as many as are this target's part of `FUZZ_INPUTS`, divided by `parts` where
 * several tests share a target. The property throws when it does not hold; no input may take long, and memory
 * must not grow with their number.
 *
 * `FUZZ_SEED` makes other inputs, `FUZZ_PATH` repeats one failure, `FUZZ_MINUTES` bounds the time of all targets
 * together. Throws what failed, the smallest input that does it, and how to replay it.
 */
export async function fuzz<Input>(
  target: Target,
  inputs: fc.Arbitrary<Input>,
  property: (input: Input) => void | Promise<void>,
  options: { parts?: number } = {},
): Promise<void> {
  const parts = options.parts ?? 1
  const asked = countFor(target, parts)
  const memory = createMemoryGauge(asked)
  const isPure = target in TARGETS.pure
  const details = await fc.check(
    fc.asyncProperty(inputs, async (input) => {
      const start = performance.now()
      await property(input)
      // What never yields cannot be interrupted, only noticed.
      const took = performance.now() - start
      if (isPure && took > MAX_PURE_MILLISECONDS) throw new Error(`took ${Math.round(took)} ms`)
      memory.count()
    }),
    {
      numRuns: asked,
      seed: Number(FUZZ_SEED ?? ORDINARY_SEED),
      ...(FUZZ_PATH !== undefined && { path: FUZZ_PATH }),
      ...(!isPure && { timeout: MAX_SERVED_MILLISECONDS }),
      ...(FUZZ_MINUTES !== undefined && { interruptAfterTimeLimit: millisecondsFor(target, parts) }),
    },
  )
  report({ target, tried: details.numRuns, asked, seed: details.seed, failed: details.failed })
  if (details.failed) throw new Error(await describe(details), { cause: details.errorInstance })
  memory.assertBounded()
}

function countFor(target: Target, parts: number): number {
  const inputs = Number(FUZZ_INPUTS ?? ORDINARY_INPUTS)
  return Math.max(1, Math.ceil((inputs * (weights[target] ?? 0)) / totalWeight / parts))
}

function millisecondsFor(target: Target, parts: number): number {
  const cost = (name: string) => (weights[name] ?? 0) * (name in TARGETS.served ? SERVED_COST : 1)
  const total = Object.keys(weights).reduce((sum, name) => sum + cost(name), 0)
  return Math.ceil((Number(FUZZ_MINUTES) * 60_000 * cost(target)) / total / parts)
}

/** Jest gives no access to the collector, and without it memory says nothing. */
function createMemoryGauge(asked: number) {
  const warmUp = asked < MIN_MEASURED_INPUTS ? Number.POSITIVE_INFINITY : Math.ceil(asked * WARM_UP_PART)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const measure = () => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  let inputs = 0
  let before: number | undefined
  return {
    count() {
      if (++inputs === warmUp) before = measure()
    },
    assertBounded() {
      const growth = before === undefined ? 0 : measure() - before
      if (growth > MAX_GROWTH_OCTETS) {
        throw new Error(`memory has grown by ${Math.round(growth / 1024 / 1024)} MiB in ${inputs} inputs`)
      }
    },
  }
}

async function describe<Ts>(details: fc.RunDetails<Ts>): Promise<string> {
  const message = (await fc.asyncDefaultReportMessage(details)) ?? ''
  const { message: reason } = (details.errorInstance ?? {}) as { message?: string }
  return [shorten(message), shorten(reason ?? ''), howToReplay(details)].join('\n\n')
}

/** An input may be one character a hundred thousand times. */
function shorten(text: string): string {
  return text.replaceAll(/(.{1,4}?)\1{40,}/gs, '$1$1$1…').slice(0, MAX_MESSAGE_LENGTH)
}

function howToReplay<Ts>({ seed, counterexamplePath }: fc.RunDetails<Ts>): string {
  const { testPath = '', currentTestName = '' } = expect.getState()
  const file = testPath.slice(testPath.indexOf('test/'))
  const name = currentTestName.replaceAll(/[^\w\s/-]/g, '.')
  return `Replay: FUZZ_SEED=${seed} FUZZ_PATH=${counterexamplePath} npm run jest -- ${file} -t '${name}$'`
}

function report(line: FuzzReport): void {
  if (FUZZ_REPORT !== undefined) appendFileSync(FUZZ_REPORT, `${JSON.stringify(line)}\n`)
}
