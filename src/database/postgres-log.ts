import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Owner } from './postgres-binaries.ts'

const LARGEST_LOG_BYTES = 10_000_000
const LONGEST_EXCERPT_BYTES = 65_536

/** The log of one start of PostgreSQL: what it has said since then can be read back. */
export type PostgresLog = { path: string; handle: FileHandle; from: number }

/**
 * Opens the log in the data folder for appending; a large one is put aside first, in place of the one put
 * aside before. The caller closes the handle.
 */
export async function openLog(dataDir: string, owner: Owner): Promise<PostgresLog> {
  const path = join(dataDir, 'postgres.log')
  const size = (await stat(path).catch(() => undefined))?.size ?? 0
  if (size > LARGEST_LOG_BYTES) {
    await rm(`${path}.old`, { force: true })
    await rename(path, `${path}.old`)
  }
  // Not through a symbolic link: the folder belongs to a user with fewer rights than ours.
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW
  const handle = await open(path, flags, 0o600)
  if (owner) await handle.chown(owner.uid, owner.gid)
  return { path, handle, from: (await handle.stat()).size }
}

/** The one line among those written since the log was opened that says what went wrong. */
export async function readCulprit({ handle, from }: PostgresLog): Promise<string> {
  const { size } = await handle.stat()
  const length = Math.min(size - from, LONGEST_EXCERPT_BYTES)
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length)
  return culprit(buffer.toString('utf8'))
}

/** The first complaint in what a PostgreSQL program has said, without its prefix; one line in any case. */
export function culprit(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  const isComplaint = (line: string) => COMPLAINT.test(line) && !ANSWER_TO_POLLING.test(line)
  const line = lines.find(isComplaint) ?? lines.at(-1) ?? 'it said nothing'
  return line.replace(COMPLAINT, '').trim()
}

const COMPLAINT = /^.*?\b(error|FATAL|PANIC):\s*/
// "the database system is starting up": to us, who ask whether it is ready.
const ANSWER_TO_POLLING = /FATAL:\s+the database system is /
