import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** What a program that ran to its end has left. */
export type Outcome = { code: number | string; stdout: string; stderr: string }

/** Requests of the programs stay on this machine, whatever proxy it uses. */
const DIRECT = { NO_PROXY: '127.0.0.1,localhost', no_proxy: '127.0.0.1,localhost' }

const RUN_TIMEOUT_MILLISECONDS = 30_000

/** The path of a client program of this folder. */
export function pathOf(program: string): string {
  return fileURLToPath(new URL(program, import.meta.url))
}

/** Runs a program to its end, without a shell. What it prints is kept, trimmed. */
export function run(
  command: string,
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; timeoutMilliseconds?: number } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(
      command,
      [...args],
      {
        env: { ...process.env, ...DIRECT, ...options.env },
        cwd: options.cwd,
        timeout: options.timeoutMilliseconds ?? RUN_TIMEOUT_MILLISECONDS,
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : (error.code ?? error.signal ?? 'failed')
        resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() })
      },
    )
  })
}

/** Runs one of the Node.js programs, on the Node.js that the tests run on. */
export function runNode(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Outcome> {
  return run(process.execPath, [pathOf(program), ...args], { env })
}

/** A program's text with one place of it changed: what happens to somebody who writes it otherwise. */
export function changed(program: string, from: string, to: string): string {
  const [before, after, ...more] = readFileSync(pathOf(program), 'utf8').split(from)
  if (after === undefined || more.length > 0) throw new Error(`${program} has not exactly once: ${from}`)
  return before + to + after
}

/** Starts a Node.js program that serves, and waits for the first line it prints, its URL. */
export async function startNode(
  program: string,
  env: Record<string, string>,
): Promise<{ url: string; stop(): void }> {
  const child = spawn(process.execPath, [pathOf(program)], {
    env: { ...process.env, ...DIRECT, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const url of createInterface(child.stdout)) return { url, stop: () => child.kill() }
  throw new Error(`${program} ended before it served`)
}
