import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { test } from '@jest/globals'
import { type Outcome, pathOf, run } from './programs.ts'

/** How to run a program that is none of Node.js; or why it cannot be run here. */
export type Toolchain<Run = (args: readonly string[], env?: Record<string, string>) => Promise<Outcome>> =
  | { run: Run }
  | { missing: string }

/** Starts a program that serves until it is told to stop. */
export type Start = (args: readonly string[], env?: Record<string, string>) => ChildProcess

/** What is fetched from a registry is kept here until the next `npm ci`. */
const CACHE = new URL('../../node_modules/.cache/interop/', import.meta.url).pathname
/** A fresh Go toolchain compiles the standard library first. */
const INSTALL = { timeoutMilliseconds: 240_000 }
const GO_SOURCES = ['go/main.go', 'go/go.mod', 'go/go.sum'].map(pathOf)
/** No other toolchain is fetched, no C compiler is needed, and nothing is left that cannot be deleted. */
const GO_ENVIRONMENT = {
  CGO_ENABLED: '0',
  GOTOOLCHAIN: 'local',
  GOFLAGS: '-modcacherw -mod=readonly -buildvcs=false',
  GOCACHE: `${CACHE}go-build`,
  GOMODCACHE: `${CACHE}go-modules`,
}
/** The oldest that is maintained, and named on top of the program. */
const OLDEST_JAVA = 17
const SHELL_COMMANDS = [
  ['bash', '--version'],
  ['openssl', 'version'],
  ['curl', '--version'],
] as const
/** Fetching from other registries is for continuous integration, and for who asks for it. */
const MAY_INSTALL = Boolean(process.env.CI || process.env.INTEROP_INSTALL)

/** Python 3 with the packages of `python/requirements.txt`, in a folder of their own. */
export async function findPython(): Promise<Toolchain> {
  const version = await run('python3', ['-c', 'import sys; print(sys.version, sys.platform)'])
  if (version.code !== 0) return { missing: 'there is no python3' }
  const requirements = pathOf('python/requirements.txt')
  const folder = `${CACHE}python-${fingerprint(version.stdout, requirements)}`
  const fault = await install(folder, (draft) => {
    const options = ['--quiet', '--retries', '1', '--target', draft, '--requirement', requirements]
    return run('python3', ['-m', 'pip', 'install', ...options], INSTALL)
  })
  if (fault !== undefined) return { missing: fault }
  return { run: (args) => run('python3', args, { env: { PYTHONPATH: folder } }) }
}

/** The program of `go/`, compiled. Throws when it does not compile. */
export async function findGo(): Promise<Toolchain> {
  const version = await run('go', ['version'])
  if (version.code !== 0) return { missing: 'there is no go' }
  const folder = `${CACHE}go-${fingerprint(version.stdout, ...GO_SOURCES)}`
  const fault = await install(folder, async (draft) => {
    const options = { ...INSTALL, cwd: pathOf('go'), env: GO_ENVIRONMENT }
    const fetched = await run('go', ['mod', 'download'], options)
    if (fetched.code !== 0) return fetched
    const built = await run('go', ['build', '-o', `${draft}/client`, '.'], options)
    if (typeof built.code === 'number' && built.code !== 0) throw new Error(built.stderr)
    return built
  })
  if (fault !== undefined) return { missing: fault }
  return { run: (args) => run(`${folder}/client`, args) }
}

/** A program that serves, where the machine has it: in a version that tells one of `versions`. Nothing is fetched. */
export async function findServer(
  command: string,
  versionFlag: string,
  versions: RegExp,
): Promise<Toolchain<Start>> {
  // Debian keeps servers where not everybody's PATH leads.
  const env = { PATH: `${process.env.PATH}:/usr/sbin` }
  const { code, stdout, stderr } = await run(command, [versionFlag], { env })
  if (code !== 0) return { missing: `there is no ${command}` }
  if (!versions.test(stdout + stderr)) return { missing: `this ${command} is too old` }
  return {
    run: (args, more) =>
      spawn(command, [...args], {
        env: { ...process.env, ...env, ...more },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
  }
}

/** The program of `java/`, compiled by the JDK as it starts. */
export async function findJava(): Promise<Toolchain> {
  const { code, stdout, stderr } = await run('javac', ['-version'])
  if (code !== 0) return { missing: 'there is no javac' }
  const version = Number(/javac (\d+)/.exec(stdout + stderr)?.[1])
  if (version < OLDEST_JAVA) return { missing: `the JDK is of version ${version}` }
  return { run: (args) => run('java', [pathOf('java/Client.java'), ...args]) }
}

/** bash, with what the programs of `shell/` call. */
export async function findShell(): Promise<Toolchain> {
  for (const [command, flag] of SHELL_COMMANDS) {
    if ((await run(command, [flag])).code !== 0) return { missing: `there is no ${command}` }
  }
  return { run: (args, env = {}) => run('bash', args, { env }) }
}

/**
 * `test` where the toolchain is there, `test.skip` where it is not. `printSkipped` says at the end of a file how
 * many were skipped and why: nothing is left out silently.
 */
export function createOptionalTest<Run>(toolchain: Toolchain<Run>) {
  let skipped = 0
  return {
    test(title: string, body: (run: Run) => Promise<void>): void {
      if ('run' in toolchain) test(title, () => body(toolchain.run))
      else {
        skipped++
        test.skip(title, () => undefined)
      }
    },
    printSkipped(client: string): void {
      if ('missing' in toolchain)
        process.stderr.write(`interop: ${skipped} tests of ${client} skipped: ${toolchain.missing}\n`)
    },
  }
}

/** Fills the folder once, whole or not at all. Answers why it could not be filled. */
async function install(
  folder: string,
  fill: (draft: string) => Promise<Outcome>,
): Promise<string | undefined> {
  if (existsSync(folder)) return undefined
  if (!MAY_INSTALL) return 'what they need is not installed; INTEROP_INSTALL=1 fetches it from its registry'
  const draft = `${folder}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  try {
    const { code, stderr } = await fill(draft)
    if (code !== 0) return `what they need cannot be installed (${code}): ${stderr.split('\n').at(-1)}`
    renameSync(draft, folder)
    return undefined
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

function fingerprint(version: string, ...files: readonly string[]): string {
  const hash = createHash('sha256').update(version)
  for (const file of files) hash.update(readFileSync(file))
  return hash.digest('hex').slice(0, 16)
}
