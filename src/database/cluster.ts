import { createHash } from 'node:crypto'
import { chown, lstat, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorError } from '../errors.ts'
import type { Binaries, Owner } from './postgres-binaries.ts'

/** A complete database in its folder, and what is needed to run the PostgreSQL of it. */
export type Cluster = {
  binaries: Binaries
  dataDir: string
  owner: Owner
  socketFolder: string
  /** By name; given on PostgreSQL's command line, they stand above its configuration files. */
  settings: Readonly<Record<string, string>>
}

/** The number in the name of the socket. No TCP port is opened. */
export const SOCKET_PORT = 5432

// sockaddr_un.sun_path holds 104 bytes on macOS and 108 on Linux, the final zero included.
const LONGEST_SOCKET_PATH_BYTES = 103

/** The settings of the embedded PostgreSQL, with `extra` added. */
export function clusterSettings(
  socketFolder: string,
  extra: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    listen_addresses: '',
    port: String(SOCKET_PORT),
    // A list of paths; quoted, since a path may have commas and spaces.
    unix_socket_directories: `"${socketFolder.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    // The largest pool that can be configured, and room for the commands beside the server.
    max_connections: '250',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    // What a request carried must not reach a log: no failed statement, no DETAIL with the values of a key.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    ...extra,
  }
}

/** The arguments that PostgreSQL is started with. */
export function commandLine({ dataDir, settings }: Cluster): string[] {
  return ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
}

/** Whether the PostgreSQL that was last started on the folder had these very arguments. */
export async function wasStartedAlike(cluster: Cluster): Promise<boolean> {
  const options = await readFile(join(cluster.dataDir, 'postmaster.opts'), 'utf8').catch(() => '')
  const wanted = commandLine(cluster).map((argument) => `"${argument}"`)
  return options.trimEnd().endsWith(wanted.join(' '))
}

/**
 * Where the Unix socket goes: the data folder itself (mode 0700), unless its path is too long for a socket;
 * then a private folder in /tmp, named after the data folder. Throws an OperatorError.
 */
export async function openSocketFolder(dataDir: string, owner: Owner): Promise<string> {
  const socketPath = join(dataDir, `.s.PGSQL.${SOCKET_PORT}`)
  if (Buffer.byteLength(socketPath) <= LONGEST_SOCKET_PATH_BYTES) return dataDir
  const digest = createHash('sha256').update(dataDir).digest('hex').slice(0, 16)
  // Not os.tmpdir(): that may be closed to the owner, and may be another at the next start.
  const folder = `/tmp/countersign-${digest}`
  const isMade = await mkdir(folder, { mode: 0o700 }).then(
    () => true,
    () => false,
  )
  if (isMade && owner) await chown(folder, owner.uid, owner.gid)
  if (await isPrivate(folder, owner)) return folder
  throw new OperatorError(
    `The path of the data folder ${dataDir} is too long for a socket, and ${folder} cannot serve in its place:` +
      ' delete that one if it is there, or choose a shorter path with --data-dir or COUNTERSIGN_DATA_DIR.',
  )
}

/** /tmp is everyone's: whoever made the folder before us could listen in our place. */
async function isPrivate(folder: string, owner: Owner): Promise<boolean> {
  const facts = await lstat(folder).catch(() => undefined)
  const uid = owner?.uid ?? process.getuid?.()
  return facts?.isDirectory() === true && facts.uid === uid && (facts.mode & 0o077) === 0
}
