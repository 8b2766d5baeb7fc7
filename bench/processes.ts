import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Clock ticks of /proc; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
const START_MILLISECONDS = 60_000

export type ServerProcess = { pid: number; stop(): Promise<void> }

/** Starts a server as a process of its own and waits until `url` answers. What it prints goes to the file `log`. */
export async function startProcess(
  args: readonly string[],
  options: { cwd: string; env: Record<string, string>; url: string; log: string },
): Promise<ServerProcess> {
  const log = openSync(options.log, 'a')
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    env: { PATH: process.env.PATH ?? '', ...options.env },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  // Also when the benchmark fails.
  process.once('exit', () => child.kill('SIGTERM'))
  const giveUpAt = Date.now() + START_MILLISECONDS
  while (!(await answers(options.url))) {
    if (child.exitCode !== null || Date.now() > giveUpAt) {
      throw new Error(`${args[0]} did not start:\n${readFileSync(options.log, 'utf8').slice(-2000)}`)
    }
    await sleep(50)
  }
  return { pid: child.pid as number, stop: () => stop(child) }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok
  } catch {
    return false
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** CPU seconds that a process has used, in user and kernel mode, its threads included. */
export function cpuSecondsOf(pid: number): number {
  const fields = statOf(pid)
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The same of a process and its children, which for a postmaster are its backends, those included that have ended. */
export function cpuSecondsOfTree(pid: number): number {
  const fields = statOf(pid)
  const ended = fields === undefined ? 0 : (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND
  return treeOf(pid).reduce((sum, each) => sum + cpuSecondsOf(each), ended)
}

function treeOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && statOf(Number(name))?.[1] === String(pid))
    .map(Number)
  return [pid, ...children]
}

/** Resident memory in MiB. */
export function residentMebibytes(pid: number): number {
  const kibibytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kibibytes ?? 0) / 1024
}

/** Memory in MiB that a process and its children have for themselves alone: without the buffers that backends share. */
export function privateMebibytesOfTree(pid: number): number {
  const kibibytes = treeOf(pid).flatMap((each) =>
    [...readOrNothing(`/proc/${each}/smaps_rollup`).matchAll(/^Private_(?:Clean|Dirty):\s+(\d+)/gm)].map(
      ([, size]) => Number(size),
    ),
  )
  return kibibytes.reduce((sum, each) => sum + each, 0) / 1024
}

/** Files and sockets that a process has open. */
export function countDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Fields of /proc/pid/stat from the third (state) on; the second holds the name, which may hold spaces. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
