import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { FuzzReport } from '../test/fuzz/inputs.ts'
import { TARGETS } from '../test/fuzz/targets.ts'

/**
 * Fuzzes at length: the tests of test/fuzz with many more inputs than in an ordinary run, from a new seed each
 * time. Prints how many inputs were tried of each target. Fails when a property does not hold, and when the time
 * was up before all inputs were tried.
 *
 *   npm run fuzz -- [--inputs N] [--minutes M] [--seed S] [file …]
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    inputs: { type: 'string', default: '120000' },
    minutes: { type: 'string', default: '180' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
  },
})
/** For what surrounds the inputs: servers that start, test beds, the shrinking of a failure. */
const SPARE_MINUTES = 15
const JEST = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
]

const { inputs, minutes, seed } = values
const workers = availableParallelism()
const folder = mkdtempSync(join(tmpdir(), 'countersign-fuzz-'))
const report = join(folder, 'report')
writeFileSync(report, '')
console.log(`fuzz: ${inputs} inputs, ${minutes} minutes at most, seed ${seed}`)
try {
  const timeout = (Number(minutes) + SPARE_MINUTES) * 60_000
  const { status } = spawnSync(
    process.execPath,
    [
      ...JEST,
      `--maxWorkers=${workers}`,
      `--testTimeout=${timeout}`,
      ...(positionals.length > 0 ? positionals : ['test/fuzz']),
    ],
    {
      stdio: 'inherit',
      env: {
        ...process.env,
        FUZZ_INPUTS: inputs,
        FUZZ_MINUTES: String(Number(minutes) * workers),
        FUZZ_SEED: seed,
        FUZZ_REPORT: report,
      },
    },
  )
  const isComplete = printSummary(readReports())
  process.exitCode = status === 0 && isComplete ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function readReports(): FuzzReport[] {
  const lines = readFileSync(report, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
}

/** Answers whether as many inputs were tried as were asked for. */
function printSummary(reports: readonly FuzzReport[]): boolean {
  const sum = (lines: readonly FuzzReport[], of: 'tried' | 'asked') =>
    lines.reduce((total, line) => total + line[of], 0)
  for (const [target, lines] of Map.groupBy(reports, (line) => line.target)) {
    const [tried, asked] = [sum(lines, 'tried'), sum(lines, 'asked')]
    const note = lines.some((line) => line.failed)
      ? '  FAILED'
      : tried < asked
        ? `  of ${asked}: time was up`
        : ''
    console.log(`${String(tried).padStart(8)}  ${target}${note}`)
  }
  const names = Object.values(TARGETS).flatMap((targets) => Object.keys(targets))
  const left =
    positionals.length > 0 ? [] : names.filter((name) => reports.every((line) => line.target !== name))
  for (const name of left) console.log(`${'0'.padStart(8)}  ${name}  NOT TRIED`)
  const [tried, asked] = [sum(reports, 'tried'), sum(reports, 'asked')]
  console.log(`${String(tried).padStart(8)}  inputs in all, seed ${seed}`)
  return tried >= asked && left.length === 0
}
