import { link, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemClock } from '../clock.ts'
import { codeOf, OperatorError } from '../errors.ts'
import { type Binaries, type Owner, runBinary } from './postgres-binaries.ts'
import { culprit } from './postgres-log.ts'
import { readCommandLine } from './process-status.ts'

/** The superuser, and the database, of the embedded PostgreSQL. */
export const CLUSTER_NAME = 'countersign'

// Marks a folder as ours: "creating <process id>" until the database in it is complete, then "complete".
const STATE_FILE = 'countersign.state'

// Creating a database takes seconds: a process id that is still alive after this belongs to someone else by now.
const CREATION_PATIENCE_MS = 120_000

/** What the mark of a folder says: `abandoned` when whoever was creating the database there is no more. */
export type ClusterState = 'unmarked' | 'being created' | 'abandoned' | 'complete'

/** Reads the mark without touching the folder. */
export async function readClusterState(folder: string): Promise<ClusterState> {
  const mark = join(folder, STATE_FILE)
  const text = (await readFile(mark, 'utf8').catch(() => '')).trim()
  if (text === 'complete') return 'complete'
  const creator = /^creating (\d+)$/.exec(text)?.[1]
  if (creator === undefined) return 'unmarked'
  return (await isAtWork(Number(creator), mark)) ? 'being created' : 'abandoned'
}

/** Whether a file name is of the mark: of a kind that a kill may leave in a folder that is still empty. */
export function isOfState(name: string): boolean {
  return name.startsWith(STATE_FILE)
}

/**
 * Fills a folder that is empty, or that an earlier attempt left unfinished, with a database. Killed in the
 * middle, it leaves what the next attempt recognises and begins anew; failed, it leaves the folder empty.
 * `sync: false` trades safety from power loss for speed (tests). Throws an OperatorError.
 */
export async function createCluster(
  { path, owner }: { path: string; owner: Owner },
  binaries: Binaries,
  { sync }: { sync: boolean },
): Promise<void> {
  const building = join(path, `initdb-${process.pid}`)
  await claim(path, owner)
  try {
    await removeAllButState(path)
    await initdb(building, owner, binaries, sync)
    // Built inside and moved up, not built beside and renamed: the folder may be a mounted volume.
    for (const name of await readdir(building)) await rename(join(building, name), join(path, name))
    await rmdir(building)
    await rename(await draftState(path, owner, 'complete'), join(path, STATE_FILE))
  } catch (error) {
    await removeAllButState(path)
    await rm(join(path, STATE_FILE), { force: true })
    throw error
  }
}

async function isAtWork(creator: number, mark: string): Promise<boolean> {
  const { mtimeMs } = await stat(mark)
  const isRecent = systemClock.now() - mtimeMs < CREATION_PATIENCE_MS
  return isRecent && creator !== process.pid && (await readCommandLine(creator)) !== ''
}

/** Of two servers that find the same folder empty, one gets it. */
async function claim(folder: string, owner: Owner): Promise<void> {
  const mark = join(folder, STATE_FILE)
  const draft = await draftState(folder, owner, `creating ${process.pid}`)
  try {
    if ((await readClusterState(folder)) === 'abandoned') await rename(draft, mark)
    else await link(draft, mark)
  } catch (error) {
    // The other one has marked it first, and may have tidied our draft away.
    if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') throw beingCreated(folder)
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

/** What to tell when another server is just creating the database. */
export function beingCreated(folder: string): OperatorError {
  return new OperatorError(
    `The data folder ${folder} is in use by another Countersign server, which is just creating it: stop that` +
      ' one, or choose another folder with --data-dir or COUNTERSIGN_DATA_DIR.',
  )
}

/** Put in place whole by a rename or link; created exclusively, so never through a link that someone planted. */
async function draftState(folder: string, owner: Owner, state: string): Promise<string> {
  const draft = join(folder, `${STATE_FILE}.${process.pid}`)
  await rm(draft, { force: true })
  const handle = await open(draft, 'wx', 0o600)
  try {
    if (owner) await handle.chown(owner.uid, owner.gid)
    await handle.writeFile(`${state}\n`)
  } finally {
    await handle.close()
  }
  return draft
}

async function removeAllButState(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name === STATE_FILE) continue
    // An initdb whose server was killed may still be writing: hence the retries.
    await rm(join(folder, name), { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
}

async function initdb(folder: string, owner: Owner, binaries: Binaries, sync: boolean): Promise<void> {
  const args = [
    ...['--pgdata', folder, '--username', CLUSTER_NAME, '--no-instructions'],
    // Sorted by code point and cased by Unicode on every machine, whatever its own locales are.
    ...['--encoding', 'UTF8', '--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
    // The private folder of the socket is the lock. Should anyone open a TCP port, nobody enters by it.
    ...['--auth-local', 'trust', '--auth-host', 'reject'],
    ...(sync ? [] : ['--no-sync']),
  ]
  const { code, output } = await runBinary(binaries.initdb, args, owner)
  if (code === 0) return
  throw new OperatorError(`PostgreSQL could not create a database in ${dirname(folder)}: ${culprit(output)}`)
}
