import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rmdir,
  stat,
  symlink,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf, OperatorError } from '../errors.ts'
import { beingCreated, type ClusterState, isOfState, readClusterState } from './new-cluster.ts'
import { type Binaries, isRoot, type Owner, ROOT_HOME, runBinary } from './postgres-binaries.ts'

/** A folder that PostgreSQL may use: its real path, whom it runs as, and whether a database is in it yet. */
export type DataFolder = { path: string; owner: Owner; isNew: boolean }

// A server that was just killed in the middle of creating takes a moment to die.
const CREATOR_PATIENCE_MS = 2_000
const CREATOR_POLL_MS = 50

const OTHER_FOLDER = 'choose another folder with --data-dir or COUNTERSIGN_DATA_DIR'

/**
 * Finds or makes the data folder (`./data` when none is named; as root that becomes a link to a fresh folder
 * which an unprivileged user can enter) and checks that it is ours to use. A folder that is not is left as it
 * is. Throws an OperatorError, or what the operating system says.
 */
export async function openDataFolder(asked: string | undefined, binaries: Binaries): Promise<DataFolder> {
  const named = resolve(asked ?? 'data')
  if (asked === undefined && isRoot() && !(await isThere(named))) await linkFreshFolder(named)
  const found = await inspect(named, binaries.major)
  return found === 'complete' ? openExisting(named, binaries) : openNew(named, binaries)
}

/** As root, so that a fresh checkout always starts with fresh data and its user sees where the data is. */
async function linkFreshFolder(link: string): Promise<void> {
  const folder = await mkdtemp(join(ROOT_HOME, 'data-'))
  try {
    await symlink(folder, link)
  } catch (error) {
    await rmdir(folder)
    // Another server, started in the same moment, was quicker.
    if (!(await isThere(link))) throw error
  }
}

/** Judges a folder without touching it. */
async function inspect(folder: string, major: string): Promise<'new' | 'complete'> {
  if (!(await isThere(folder))) return 'new'
  const facts = await stat(folder).catch((error) => refuseDangling(folder, error))
  if (!facts.isDirectory())
    throw new OperatorError(`${folder} is not a folder: delete it, or ${OTHER_FOLDER}.`)
  assertOwned(folder, facts.uid)
  const state = await readSettledState(folder)
  const names = await readdir(folder)
  const version = await readVersion(folder, names)
  if (version !== undefined && version !== major) refuseVersion(folder, version, major)
  if (state === 'abandoned') return 'new'
  if (state === 'complete' && version === major) return 'complete'
  const strange = names.find((name) => !isOfState(name))
  if (strange !== undefined) refuseForeign(folder, strange)
  return 'new'
}

async function readSettledState(folder: string): Promise<ClusterState> {
  for (let waitedMs = 0; waitedMs < CREATOR_PATIENCE_MS; waitedMs += CREATOR_POLL_MS) {
    const state = await readClusterState(folder)
    if (state !== 'being created') return state
    await sleep(CREATOR_POLL_MS)
  }
  throw beingCreated(folder)
}

async function openExisting(named: string, binaries: Binaries): Promise<DataFolder> {
  const path = await realpath(named)
  if (!isRoot()) return { path, owner: undefined, isNew: false }
  const { uid, gid } = await stat(path)
  if (uid === 0) refuseRoots(path)
  await assertEnterable(path, { uid, gid }, binaries)
  return { path, owner: { uid, gid }, isNew: false }
}

async function openNew(named: string, binaries: Binaries): Promise<DataFolder> {
  const owner = isRoot() ? await chooseOwner(named) : undefined
  if (owner) await assertEnterable(await nearestFolder(dirname(await resolveLinks(named))), owner, binaries)
  await mkdir(named, { recursive: true })
  const path = await realpath(named)
  if (owner) await chown(path, owner.uid, owner.gid)
  await chmod(path, 0o700)
  return { path, owner, isNew: true }
}

/** Whom an empty folder belongs to already, unless that is root; else an unprivileged user of the system. */
async function chooseOwner(folder: string): Promise<NonNullable<Owner>> {
  const facts = await stat(folder).catch(() => undefined)
  if (facts && facts.uid !== 0) return { uid: facts.uid, gid: facts.gid }
  const users = new Map<string, NonNullable<Owner>>()
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [name = '', , uid, gid] = line.split(':')
    users.set(name, { uid: Number(uid), gid: Number(gid) })
  }
  const owner = users.get('postgres') ?? users.get('nobody')
  if (owner && owner.uid > 0) return owner
  throw new OperatorError(
    'PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as: start' +
      ' Countersign as an ordinary user, or set DATABASE_URL.',
  )
}

/** Asks as the very user who will have to enter: permissions are more than mode bits. */
async function assertEnterable(folder: string, owner: NonNullable<Owner>, binaries: Binaries): Promise<void> {
  const { output } = await runBinary(binaries.pgCtl, ['status', '-D', folder], owner)
  if (!output.includes('Permission denied')) return
  throw new OperatorError(
    `PostgreSQL does not run as root but as user ${owner.uid}, who cannot enter ${folder}: choose a folder that` +
      ` this user can enter, such as ${ROOT_HOME}/data, with --data-dir or COUNTERSIGN_DATA_DIR.`,
  )
}

async function resolveLinks(path: string): Promise<string> {
  return (await isThere(path)) ? realpath(path) : path
}

async function nearestFolder(path: string): Promise<string> {
  return (await isThere(path)) ? path : nearestFolder(dirname(path))
}

/** Whether anything bears this name, be it a link that leads nowhere. Throws when that cannot be told. */
async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

async function readVersion(folder: string, names: readonly string[]): Promise<string | undefined> {
  if (!names.includes('PG_VERSION')) return undefined
  return (await readFile(join(folder, 'PG_VERSION'), 'utf8')).trim()
}

/** PostgreSQL insists that the folder belongs to the user it runs as. */
function assertOwned(folder: string, uid: number): void {
  if (isRoot() || uid === process.getuid?.()) return
  throw new OperatorError(
    `The data folder ${folder} belongs to another user (uid ${uid}): start Countersign as that user, or` +
      ` ${OTHER_FOLDER}.`,
  )
}

async function refuseDangling(path: string, cause: unknown): Promise<never> {
  if (codeOf(cause) !== 'ENOENT') throw cause
  const target = await readlink(path)
  throw new OperatorError(
    `${path} points to ${target}, which does not exist: bring that folder back, or delete the link to start` +
      ' with an empty database.',
  )
}

function refuseVersion(folder: string, version: string, major: string): never {
  throw new OperatorError(
    `The data folder ${folder} was made by PostgreSQL ${JSON.stringify(version)}, and this Countersign brings` +
      ` PostgreSQL ${major}: set DATABASE_URL to a server that runs it, or ${OTHER_FOLDER}.`,
  )
}

function refuseForeign(folder: string, strange: string): never {
  throw new OperatorError(
    `The data folder ${folder} is not empty (${JSON.stringify(strange)} is in it) and is no database of` +
      ` Countersign: ${OTHER_FOLDER}.`,
  )
}

function refuseRoots(folder: string): never {
  throw new OperatorError(
    `The data folder ${folder} belongs to root, as whom PostgreSQL does not run: give it to the user that the` +
      ` database shall run as (chown -R postgres ${folder}), or ${OTHER_FOLDER}.`,
  )
}
