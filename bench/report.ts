import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Footprint } from './footprint.ts'
import { median, type Sample } from './measure.ts'
import { describeMachine } from './page.ts'

type Line = {
  scenario: string
  connections: number
  perSecond: number
  lowest: number
  highest: number
  p50: number
  p99: number
  server: number
  database: number
  generator: number
  memory: number
}

/** A goal of the design: the ratio of two scenarios' throughput at the same number of connections. */
type Goal = { text: string; of: string; to: string; atLeast: number }

const GOALS: readonly Goal[] = [
  {
    text: 'JWT token against oidc-provider',
    of: 'countersign jwt token',
    to: 'oidc-provider jwt token',
    atLeast: 2,
  },
  {
    text: 'opaque token against oidc-provider',
    of: 'countersign opaque token',
    to: 'oidc-provider opaque token',
    atLeast: 3,
  },
  {
    text: 'opaque introspection against oidc-provider',
    of: 'countersign opaque introspection',
    to: 'oidc-provider opaque introspection',
    atLeast: 3,
  },
  {
    text: 'JWT introspection against oidc-provider',
    of: 'countersign jwt introspection',
    to: 'oidc-provider opaque introspection',
    atLeast: 3,
  },
  { text: 'JWT token against the limit', of: 'countersign jwt token', to: 'limit token', atLeast: 0.6 },
]

/** For the screen: every scenario at every number of connections, then the goals. */
export function toTable(samples: readonly Sample[]): string {
  return `${render(HEADINGS, toLines(samples).map(toCells), false)}\n\n${render(GOAL_HEADINGS, toGoals(samples), false)}`
}

/** For docs/performance.md: the goals, every scenario, and what a token leaves behind. */
export function toParagraphs(found: {
  samples: readonly Sample[]
  footprint: Footprint
  flags: { rounds: string; requests: string }
}): string {
  const { samples, footprint, flags } = found
  return [
    `${describeMachine()}, ${describeVersions()}. ${flags.rounds} rounds of ${flags.requests} requests, a third of them over one connection.`,
    render(GOAL_HEADINGS, toGoals(samples), true),
    render(HEADINGS, toLines(samples).map(toCells), true),
    toSentence(footprint),
  ].join('\n\n')
}

/** What a token leaves behind. */
export function toSentence({ tokens, recordBytes, indexBytes, walBytes }: Footprint): string {
  const bytes = (value: number) => Math.round(value).toLocaleString('en')
  return (
    `Over ${bytes(tokens)} tokens, each left ${bytes(recordBytes)} bytes in the table of grant records, ${bytes(indexBytes)} in its ` +
    `indexes, and ${bytes(walBytes)} in the write-ahead log.`
  )
}

/** What was measured. */
function describeVersions(): string {
  const versions = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')).packages
  const version = (name: string) => `${name} ${versions[`node_modules/${name}`].version}`
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  return `${version('jose')}, ${version('oidc-provider')}, ${version('express')}, ${version('pg')}, commit ${commit}`
}

const HEADINGS = [
  'scenario',
  'conn',
  'req/s',
  'low–high',
  'p50 ms',
  'p99 ms',
  'server µs',
  'PostgreSQL µs',
  'generator µs',
  'MiB',
]
const GOAL_HEADINGS = ['goal', 'conn', 'ratio', 'low–high', 'at least', '']

function toLines(samples: readonly Sample[]): Line[] {
  const groups = Map.groupBy(samples, ({ scenario, connections }) => `${connections} ${scenario}`)
  return [...groups.values()].map((group) => {
    const of = (pick: (sample: Sample) => number) => median(group.map(pick))
    const speeds = group.map((sample) => sample.perSecond)
    return {
      scenario: group[0]?.scenario ?? '',
      connections: group[0]?.connections ?? 0,
      perSecond: median(speeds),
      lowest: Math.min(...speeds),
      highest: Math.max(...speeds),
      p50: of((sample) => sample.p50Milliseconds),
      p99: of((sample) => sample.p99Milliseconds),
      server: of((sample) => sample.serverMicroseconds),
      database: of((sample) => sample.databaseMicroseconds),
      generator: of((sample) => sample.generatorMicroseconds),
      memory: of((sample) => sample.memoryMebibytes),
    }
  })
}

function toCells(line: Line): string[] {
  return [
    line.scenario,
    String(line.connections),
    line.perSecond.toFixed(0),
    `${line.lowest.toFixed(0)}–${line.highest.toFixed(0)}`,
    line.p50.toFixed(2),
    line.p99.toFixed(2),
    line.server.toFixed(0),
    line.database.toFixed(0),
    line.generator.toFixed(0),
    line.memory.toFixed(0),
  ]
}

/** Ratios are taken within a round, where both sides met the same machine; their median is the verdict. */
function toGoals(samples: readonly Sample[]): string[][] {
  const counts = [...new Set(samples.map((sample) => sample.connections))]
  const ratios = GOALS.flatMap((goal) =>
    counts.map((connections) => {
      const values = ratiosOf(samples, connections, goal.of, goal.to, (sample) => sample.perSecond)
      return goalCells(goal.text, connections, values, goal.atLeast, median(values) >= goal.atLeast)
    }),
  )
  const latency = ratiosOf(
    samples,
    1,
    'countersign jwt token',
    'limit token',
    (sample) => sample.p50Milliseconds,
  )
  return [
    ...ratios,
    goalCells('p50 of a single request, in limits (at most)', 1, latency, 3, median(latency) <= 3),
  ]
}

function goalCells(
  text: string,
  connections: number,
  values: readonly number[],
  goal: number,
  isMet: boolean,
): string[] {
  const span = `${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}`
  return [text, String(connections), median(values).toFixed(2), span, String(goal), isMet ? 'met' : 'missed']
}

function ratiosOf(
  samples: readonly Sample[],
  connections: number,
  of: string,
  to: string,
  pick: (sample: Sample) => number,
): number[] {
  const find = (scenario: string, round: number) =>
    samples.find(
      (sample) =>
        sample.scenario === scenario && sample.round === round && sample.connections === connections,
    )
  return [...new Set(samples.map((sample) => sample.round))].flatMap((round) => {
    const [a, b] = [find(of, round), find(to, round)]
    return a === undefined || b === undefined ? [] : [pick(a) / pick(b)]
  })
}

/** A table for the screen, or in Markdown. */
export function render(headings: readonly string[], rows: readonly string[][], isMarkdown: boolean): string {
  if (isMarkdown) {
    return [headings, headings.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
  }
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  return [headings, ...rows]
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n')
}
