import { applyLoad } from './load.ts'
import { cpuSecondsOf, cpuSecondsOfTree, residentMebibytes } from './processes.ts'

/** One slot: one scenario at one number of connections in one round. */
export type Sample = {
  scenario: string
  connections: number
  round: number
  perSecond: number
  p50Milliseconds: number
  p99Milliseconds: number
  /** CPU per request. */
  serverMicroseconds: number
  databaseMicroseconds: number
  generatorMicroseconds: number
  memoryMebibytes: number
}

/** Whose CPU is counted; `postmasterPid` where there is a database of its own. */
type MeasuredServer = { port: number; pid: number; postmasterPid?: number }

/** Applies the requests of one slot and measures what they took. */
export async function measure(
  scenario: { id: string; expected: string },
  slot: { requests: readonly Buffer[]; connections: number; round: number },
  server: MeasuredServer,
): Promise<Sample> {
  const before = readCpu()
  const { seconds, latencies } = await applyLoad({
    port: server.port,
    requests: slot.requests,
    connections: slot.connections,
    expected: scenario.expected,
  })
  const after = readCpu()
  const each = (name: keyof typeof after) => ((after[name] - before[name]) / slot.requests.length) * 1e6
  const sorted = latencies.toSorted()
  return {
    scenario: scenario.id,
    connections: slot.connections,
    round: slot.round,
    perSecond: slot.requests.length / seconds,
    p50Milliseconds: quantile(sorted, 0.5),
    p99Milliseconds: quantile(sorted, 0.99),
    serverMicroseconds: each('server'),
    databaseMicroseconds: each('database'),
    generatorMicroseconds: each('generator'),
    memoryMebibytes: residentMebibytes(server.pid),
  }

  function readCpu() {
    return {
      server: cpuSecondsOf(server.pid),
      database: server.postmasterPid === undefined ? 0 : cpuSecondsOfTree(server.postmasterPid),
      generator: cpuSecondsOf(process.pid),
    }
  }
}

/** Of sorted values, by nearest rank. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}
