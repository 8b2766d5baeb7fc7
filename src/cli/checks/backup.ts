import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, messageOf } from '../../errors.ts'
import { type Check, failed, ok, warning } from './check.ts'

const NAME = 'backup'
/** A nightly backup and the time that it takes. */
const FRESH_HOURS = 26
const STALE_HOURS = 7 * 24
const HOUR_MILLISECONDS = 3_600_000

/** How old the newest backup is: `path` is the file, or the folder that they are put into. `now` in milliseconds. */
export async function checkBackup(path: string, now: number): Promise<Check> {
  const makeOne = 'Make one now, and see why it was not made (docs/backup.md).'
  try {
    const newest = await findNewest(path)
    if (newest === undefined) return failed(NAME, `there is no file in ${path}`, makeOne)
    if (newest.size === 0) return failed(NAME, `${newest.file} is empty`, makeOne)
    const hours = (now - newest.modifiedAt) / HOUR_MILLISECONDS
    const found = `${newest.file} is ${describeAge(hours)} old`
    if (hours > STALE_HOURS) return failed(NAME, found, makeOne)
    return hours > FRESH_HOURS ? warning(NAME, found, makeOne) : ok(NAME, found)
  } catch (error) {
    return failed(
      NAME,
      codeOf(error) === 'ENOENT'
        ? `there is no ${path}`
        : `${path} cannot be looked at (${messageOf(error)})`,
      makeOne,
    )
  }
}

async function findNewest(path: string) {
  const isFolder = (await stat(path)).isDirectory()
  const files = isFolder ? (await readdir(path)).map((name) => join(path, name)) : [path]
  const found = await Promise.all(
    files.map(async (file) => {
      const facts = await stat(file)
      return { file, size: facts.size, modifiedAt: facts.mtimeMs, isFile: facts.isFile() }
    }),
  )
  return found.filter(({ isFile }) => isFile).toSorted((one, other) => other.modifiedAt - one.modifiedAt)[0]
}

function describeAge(hours: number): string {
  return hours < 48 ? `${Math.max(0, Math.floor(hours))} hours` : `${Math.floor(hours / 24)} days`
}
