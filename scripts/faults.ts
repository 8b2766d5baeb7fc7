import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'

/**
 * Runs the fault tests at full length and writes what they counted into docs/reliability.md.
 *
 *   npm run faults
 */
const RESULTS = 'test/faults/results/faults.jsonl'
const PAGE = 'docs/reliability.md'
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
const machine = `Measured on ${cpus().length} × ${cpus()[0]?.model}, Node.js ${process.version}.`
const page = readFileSync(PAGE, 'utf8')
writeFileSync(
  PAGE,
  page.replace(/(<!-- figures -->\n)[\s\S]*(\n<!-- end of figures -->)/, `$1\n${machine}\n\n${table}\n$2`),
)
console.log(`${table}\n\nwritten to ${PAGE}`)
process.exitCode = status ?? 1
