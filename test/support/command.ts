import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestDatabase } from './database.ts'

/** How a command ended. */
export type Outcome = { code: number | null; stdout: string; stderr: string }

export type CommandOptions = { cwd: string; env?: Record<string, string>; stdin?: string }

/** A server in a process of its own, as `countersign serve` runs it. */
export type ServerProcess = {
  issuer: string
  child: ChildProcess
  stdout(): string
  /** Sends a signal; resolves when the process has ended. */
  end(signal: NodeJS.Signals): Promise<Outcome>
  /** Resolves when the process has ended. */
  ended: Promise<Outcome>
}

/** The entry of the command, to be run by the Node.js that runs the tests. */
export const MAIN = join(import.meta.dirname, '../../src/main.ts')
/** Compiled once per checkout, not once per process: half of what a start takes. */
export const COMPILE_CACHE = join(import.meta.dirname, '../../node_modules/.cache/countersign')
/** initdb alone takes half a minute where every core is busy; below what the tests that start servers may take. */
const START_MILLISECONDS = 50_000

/** Runs a command of Countersign to its end, in a folder and an environment of its own. */
export async function runCommand(args: readonly string[], options: CommandOptions): Promise<Outcome> {
  const { child, ended } = start(args, options)
  child.stdin?.end(options.stdin ?? '')
  return ended
}

/**
 * Starts `countersign serve`, as one process unless told otherwise, on a free port and waits until it has said where
 * it listens, or for as long as `waitMilliseconds` says.
 */
export async function startProcess(
  options: CommandOptions & { args?: readonly string[]; port?: number; waitMilliseconds?: number },
): Promise<ServerProcess> {
  const port = options.port ?? (await findFreePort())
  const { child, ended, stdout } = start(['serve', '--port', String(port), ...(options.args ?? [])], {
    ...options,
    env: { COUNTERSIGN_WORKERS: '1', ...options.env },
  })
  const giveUpAt = performance.now() + START_MILLISECONDS
  if (options.waitMilliseconds !== undefined) await sleep(options.waitMilliseconds)
  while (options.waitMilliseconds === undefined && !/Listening on/.test(stdout())) {
    if (child.exitCode !== null || performance.now() > giveUpAt) {
      child.kill('SIGKILL')
      throw new Error(`the server did not start: ${JSON.stringify(await ended)}`)
    }
    await sleep(20)
  }
  return {
    issuer: options.env?.COUNTERSIGN_ISSUER ?? `http://localhost:${port}`,
    child,
    stdout,
    ended,
    end(signal) {
      child.kill(signal)
      return ended
    },
  }
}

/** A folder that also the user can enter whom PostgreSQL runs as when the tests run as root. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-command-'))
  await chmod(folder, 0o755)
  return folder
}

/** A port that nobody listens on. */
export async function findFreePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** `DATABASE_URL` of a test database. */
export function urlOf({ address }: Pick<TestDatabase, 'address'>): string {
  const { host, port, user, database } = address
  return `postgresql:///${database}?host=${encodeURIComponent(host)}&port=${port}&user=${user}`
}

function start(args: readonly string[], { cwd, env = {} }: CommandOptions) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const ended = once(child, 'close').then(([code]): Outcome => ({ code, stdout, stderr }))
  return { child, ended, stdout: () => stdout }
}
