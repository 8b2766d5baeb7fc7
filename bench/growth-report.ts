import type { ListTiming } from './lists.ts'
import { median, type Sample } from './measure.ts'
import { describeMachine, markdownTable } from './page.ts'
import { render } from './report.ts'

/** What the servers differ by: nothing in it but the callers, a month of grant records, accounts by the million. */
export const PROFILES = ['empty', 'history', 'accounts'] as const
export type Profile = (typeof PROFILES)[number]

type Size = { bytes: number; records: number; accounts: number }

/** What a run has found. */
export type Growth = {
  samples: readonly Sample[]
  lists: Record<Profile, readonly ListTiming[]>
  sizes: { history: Size; accounts: Size }
  flags: { rounds: string; requests: string; connections: string }
}

const WORK = ['jwt token', 'opaque token', 'jwt introspection', 'opaque introspection']
const GOAL = 0.9
const HEADINGS = [
  'work',
  'database',
  'req/s',
  'ratio',
  'low–high',
  'server µs',
  'PostgreSQL µs',
  'CPU ratio',
  'p99 ms',
  'at least 0.9',
]
const LIST_HEADINGS = ['list', 'empty', 'with history', 'with accounts', 'slowest']

/** For the screen. */
export function toGrowthTable(growth: Growth): string {
  return [
    describeSizes(growth),
    render(
      HEADINGS,
      WORK.flatMap((work) => toRows(growth.samples, work)),
      false,
    ),
    render(LIST_HEADINGS, toListRows(growth), false),
  ].join('\n\n')
}

/** For docs/performance.md. */
export function toParagraphs(growth: Growth): string {
  const { rounds, requests, connections } = growth.flags
  return [
    `${describeMachine()}: ${rounds} rounds of ${requests} requests ` +
      `over ${connections} connections. ${describeSizes(growth)}`,
    render(
      HEADINGS,
      WORK.flatMap((work) => toRows(growth.samples, work)),
      true,
    ),
    'What administrators wait for, in milliseconds of a whole request (median of ten; the slowest of all):',
    markdownTable(LIST_HEADINGS, toListRows(growth)),
  ].join('\n\n')
}

function describeSizes({ sizes: { history, accounts } }: Growth): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
  return (
    `History: ${history.records.toLocaleString('en')} grant records, ${gigabytes(history.bytes)}. ` +
    `Accounts: ${accounts.accounts.toLocaleString('en')}, ${gigabytes(accounts.bytes)}.`
  )
}

/** Ratios are taken within a round, where all servers met the same machine; above 1 is better than the empty one. */
function toRows(samples: readonly Sample[], work: string): string[][] {
  const of = (profile: Profile) => samples.filter(({ scenario }) => scenario === `${profile} ${work}`)
  const empty = of('empty')
  return PROFILES.map((profile) => {
    const own = of(profile)
    const middle = (pick: (sample: Sample) => number) => median(own.map(pick))
    const compare = (pick: (one: Sample, other: Sample) => number) =>
      own.flatMap((sample) => {
        const other = empty.find(({ round }) => round === sample.round)
        return other === undefined ? [] : [pick(sample, other)]
      })
    const speeds = compare((one, other) => one.perSecond / other.perSecond)
    const cpu = compare((one, other) => cpuOf(other) / cpuOf(one))
    const isEmpty = profile === 'empty'
    return [
      isEmpty ? work : '',
      profile,
      middle((sample) => sample.perSecond).toFixed(0),
      isEmpty ? '' : median(speeds).toFixed(2),
      isEmpty ? '' : `${Math.min(...speeds).toFixed(2)}–${Math.max(...speeds).toFixed(2)}`,
      middle((sample) => sample.serverMicroseconds).toFixed(0),
      middle((sample) => sample.databaseMicroseconds).toFixed(0),
      isEmpty ? '' : median(cpu).toFixed(2),
      middle((sample) => sample.p99Milliseconds).toFixed(1),
      isEmpty ? '' : median(speeds) >= GOAL ? 'met' : 'missed',
    ]
  })
}

function cpuOf({ serverMicroseconds, databaseMicroseconds }: Sample): number {
  return serverMicroseconds + databaseMicroseconds
}

function toListRows({ lists }: Growth): string[][] {
  return lists.empty.map(({ list }, index) => {
    const timings = PROFILES.map((profile) => lists[profile][index])
    return [
      list,
      ...timings.map((timing) => timing?.median.toFixed(1) ?? ''),
      Math.max(...timings.map((timing) => timing?.slowest ?? 0)).toFixed(1),
    ]
  })
}
