import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { describeMachine, writeBetweenMarks } from '../bench/page.ts'

/**
 * Runs the fault tests at full length and writes what they counted into docs/reliability.md.
 *
 *   npm run faults
 */
const RESULTS = 'test/faults/results/faults.jsonl'
const PAGE = new URL('../docs/reliability.md', import.meta.url)
const KILLS = '20'

rmSync(RESULTS, { force: true })
const { status } = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    'test/faults',
    '--runInBand',
  ],
  { stdio: 'inherit', env: { ...process.env, FAULT_KILLS: KILLS } },
)
const findings = readFileSync(RESULTS, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))
const table = [
  '| Fault | times | requests | 503 | connections broken | tokens | lost | accepted twice | longest wait, ms | back after, ms |',
  '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
  ...findings.map(
    (finding) =>
      `| ${finding.fault} | ${finding.faults} | ${finding.requests} | ${finding.unavailable} | ${finding.broken} | ${finding.tokens} | ${finding.lost} | ${finding.acceptedTwice} | ${finding.longest} | ${finding.recovery} |`,
  ),
].join('\n')
await writeBetweenMarks(PAGE, 'figures', `${describeMachine()}.\n\n${table}`)
console.log(`${table}\n\nwritten to docs/reliability.md`)
process.exitCode = status ?? 1
