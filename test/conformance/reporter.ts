import { readFileSync, writeFileSync } from 'node:fs'
import type { Config, Reporter, TestContext } from '@jest/reporters'
import type { AggregatedResult } from '@jest/test-result'
import rows from './rows.json' with { type: 'json' }
import unmet from './unmet.json' with { type: 'json' }

const PAGE = new URL('../../docs/conformance.md', import.meta.url)
/** A test names the rows it holds at the start of its own title, not of a `describe`: `[7523-3.1a][7523-3.1b] …`. */
const ROW_IDS = /^(\[[^\]]+\])+/
const UPDATE = process.env.UPDATE_CONFORMANCE === '1'

type Row = (typeof rows.rows)[number]
type Tally = { passed: number; failed: number }

/**
 * Writes `docs/conformance.md` from the tests that ran, or in an ordinary run checks that the page is what the
 * tests say. A row that no test names must stand in `unmet.json` with its reason: none is left out silently.
 */
export default class ConformanceReporter implements Pick<Reporter, 'onRunComplete' | 'getLastError'> {
  readonly #isWhole: boolean
  #error: Error | undefined

  constructor(config: Config.GlobalConfig) {
    const patterns = config.testPathPatterns.patterns
    this.#isWhole = patterns.length === 0 && !config.testNamePattern && !config.onlyChanged
  }

  onRunComplete(_contexts: Set<TestContext>, results: AggregatedResult): void {
    if (!this.#isWhole) return
    const tallies = countTests(results)
    const faults = findFaults(tallies)
    const page = renderPage(tallies)
    if (UPDATE) writeFileSync(PAGE, page)
    else if (readPage() !== page && results.numFailedTests === 0) {
      faults.push('docs/conformance.md is not what the tests say: run npm run conformance')
    }
    if (faults.length === 0) return
    // Jest fails the run for it, but shows it nowhere.
    console.error(faults.join('\n'))
    this.#error = new Error(faults.join('\n'))
  }

  getLastError(): Error | undefined {
    return this.#error
  }
}

function countTests(results: AggregatedResult): Map<string, Tally> {
  const tallies = new Map<string, Tally>()
  for (const test of results.testResults.flatMap((file) => file.testResults)) {
    for (const id of (ROW_IDS.exec(test.title)?.[0] ?? '').slice(1, -1).split('][')) {
      if (id === '' || (test.status !== 'passed' && test.status !== 'failed')) continue
      const tally = tallies.get(id) ?? { passed: 0, failed: 0 }
      tally[test.status] += 1
      tallies.set(id, tally)
    }
  }
  return tallies
}

function findFaults(tallies: Map<string, Tally>): string[] {
  const known = new Set(rows.rows.map((row) => row.id))
  const strangers = [...tallies.keys()].filter((id) => !known.has(id))
  const silent = rows.rows.filter((row) => !tallies.has(row.id) && reasonFor(row) === undefined)
  return [
    ...strangers.map((id) => `a test names the row ${id}, which is not in test/conformance/rows.json`),
    ...silent.map(
      (row) => `no test names the row ${row.id}, and test/conformance/unmet.json gives no reason`,
    ),
  ]
}

/** The reason given for a row, or for its whole section. */
function reasonFor(row: Row): string | undefined {
  const reasons = unmet as Record<string, string>
  return reasons[row.id] ?? reasons[row.section]
}

function renderPage(tallies: Map<string, Tally>): string {
  const held = rows.rows.filter((row) => tallies.get(row.id)?.failed === 0).length
  return `# Conformance

Made by \`npm run conformance\` from the tests; do not edit. Each row is a rule of a specification, or a policy of
this product where the specifications leave a choice (level P). A row holds when every test that names it passes
against the real server on a real PostgreSQL.

**${held} of ${rows.rows.length} rows hold.** The others are listed with their reason.
${Object.entries(rows.sections)
  .map(([section, title]) => renderSection(section, title, tallies))
  .join('')}`
}

function renderSection(section: string, title: string, tallies: Map<string, Tally>): string {
  const lines = rows.rows
    .filter((row) => row.section === section)
    .map(
      (row) =>
        `| ${row.id} | ${row.level} | ${row.requirement.replaceAll('|', '\\|')} | ${verdict(row, tallies)} |`,
    )
  return `
## ${title}

| Row | Level | Rule | Verdict |
| --- | --- | --- | --- |
${lines.join('\n')}
`
}

function verdict(row: Row, tallies: Map<string, Tally>): string {
  const tally = tallies.get(row.id)
  if (tally === undefined) return reasonFor(row) ?? 'no test'
  if (tally.failed > 0) return `**fails** (${tally.failed} of ${tally.passed + tally.failed} tests)`
  return 'holds'
}

function readPage(): string {
  try {
    return readFileSync(PAGE, 'utf8')
  } catch {
    return ''
  }
}
