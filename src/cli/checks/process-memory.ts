import { readFile } from 'node:fs/promises'
import { type Check, failed, ok, warning } from './check.ts'

const NAME = 'process memory'

/** Flags of Node.js that write memory, or what is in it, to a file, or let others look at it. */
const DUMPS = [
  '--heapsnapshot-near-heap-limit',
  '--heapsnapshot-signal',
  '--heap-prof',
  '--abort-on-uncaught-exception',
  '--inspect',
  '--inspect-brk',
  '--inspect-wait',
  // A report holds the environment, where the key-encryption key may be.
  '--report-on-fatalerror',
  '--report-on-signal',
  '--report-uncaught-exception',
]

/** Those of the flags that let the memory of the process out, where private keys are in the clear. Pure. */
export function findMemoryDumps(flags: readonly string[]): string[] {
  return flags.filter((flag) => DUMPS.includes(flag.replace(/=.*/, '').replaceAll('_', '-')))
}

/** Whether what this process has in its memory can come to a file. `flags` are those of Node.js. */
export async function checkProcessMemory(flags: readonly string[]): Promise<Check> {
  return judgeProcessMemory(flags, await readCoreLimit())
}

/** Pure half of `checkProcessMemory`. `coreLimit` in bytes, or `unlimited`; undefined where nobody says. */
export function judgeProcessMemory(flags: readonly string[], coreLimit: string | undefined): Check {
  const dumps = findMemoryDumps(flags)
  if (dumps.length > 0) {
    return failed(
      NAME,
      `Node.js is started with ${dumps.join(' ')}`,
      'Take it out: what it writes holds private keys.',
    )
  }
  if (coreLimit !== undefined && coreLimit !== '0') {
    return warning(
      NAME,
      `core dumps may have ${coreLimit === 'unlimited' ? 'any length' : `${coreLimit} bytes`}`,
      'Start the server with ulimit -c 0 (LimitCORE=0): a core dump holds private keys.',
    )
  }
  return ok(NAME, `no flag that writes it out${coreLimit === '0' ? ', no core dumps' : ''}`)
}

/** Linux only; elsewhere nobody says it without a shell. */
async function readCoreLimit(): Promise<string | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  return /^Max core file size\s+(\S+)/m.exec(limits)?.[1]
}
