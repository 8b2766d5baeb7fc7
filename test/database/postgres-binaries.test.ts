import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { restoreLinks } from '../../src/database/postgres-binaries.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-binaries-'))
  await mkdir(join(folder, 'lib'))
  await writeFile(join(folder, 'lib/libpq.so.5.18'), 'a library')
  const links = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }]
  await writeFile(join(folder, 'pg-symlinks.json'), JSON.stringify(links))
})

afterEach(() => rm(folder, { recursive: true }))

test('links that the install script has not made are made, once', async () => {
  await restoreLinks(folder)
  await restoreLinks(folder)
  expect(await readFile(join(folder, 'lib/libpq.so.5'), 'utf8')).toBe('a library')
})

test('a link that cannot be made is told of with what to do', async () => {
  await rm(join(folder, 'lib'), { recursive: true })
  await expect(restoreLinks(folder)).rejects.toThrow(/lacks .*libpq\.so\.5, .*: run npm rebuild/)
})
