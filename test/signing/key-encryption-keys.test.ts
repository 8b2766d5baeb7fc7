import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { loadKeyEncryptionKeys } from '../../src/signing/key-encryption-keys.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-kek-'))
})
afterEach(() => rm(folder, { recursive: true }))

const load = (changes: Partial<Parameters<typeof loadKeyEncryptionKeys>[0]> = {}) =>
  loadKeyEncryptionKeys({
    keysDir: join(folder, 'keys'),
    keyEncryptionKey: undefined,
    production: false,
    ...changes,
  })

test('the first start makes a key that only its owner can read, and later starts read it', async () => {
  const first = await load()
  expect(first.map((key) => key.length)).toEqual([32])
  expect((await stat(join(folder, 'keys/key-encryption-key'))).mode & 0o777).toBe(0o600)
  expect(await load()).toEqual(first)
})

test('starts at the same moment agree on one key and leave nothing else', async () => {
  const keys = await Promise.all(Array.from({ length: 8 }, () => load()))
  expect(new Set(keys.map(([key]) => key.toString('hex'))).size).toBe(1)
  expect(await readdir(join(folder, 'keys'))).toEqual(['key-encryption-key'])
})

test('in production an absent key is refused and none is made', async () => {
  await expect(load({ production: true })).rejects.toThrow('There is no key-encryption key')
  await expect(readFile(join(folder, 'keys/key-encryption-key'))).rejects.toThrow('ENOENT')
})

test('a named file that is absent is refused, never made', async () => {
  await expect(load({ keyEncryptionKey: { file: join(folder, 'absent') } })).rejects.toThrow(
    'There is no key-encryption key',
  )
})

test('in production a key that others can read is refused; elsewhere its mode is mended', async () => {
  const key = await load()
  const file = join(folder, 'keys/key-encryption-key')
  await chmod(file, 0o644)
  await expect(load({ production: true })).rejects.toThrow(`chmod 600 ${file}`)
  expect(await load()).toEqual(key)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})

test('a malformed key is refused without being shown', async () => {
  const file = join(folder, 'bad')
  await writeFile(file, 'not-a-key', { mode: 0o600 })
  await expect(load({ keyEncryptionKey: { file } })).rejects.toThrow('not 32 bytes in base64')
  await expect(load({ keyEncryptionKey: { value: 'c2hvcnQ=' } })).rejects.not.toThrow('c2hvcnQ=')
})

test('the environment wins over files', async () => {
  const value = Buffer.alloc(32, 9).toString('base64')
  expect(await load({ keyEncryptionKey: { value } })).toEqual([Buffer.alloc(32, 9)])
})

test('several keys keep their order, one on a line or with commas between them', async () => {
  const [one, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const [first, second] = [one.toString('base64'), other.toString('base64')]
  expect(await load({ keyEncryptionKey: { value: `${first}, ${second}` } })).toEqual([one, other])
  const file = join(folder, 'two')
  await writeFile(file, `${second}\n${first}\n`, { mode: 0o600 })
  expect(await load({ keyEncryptionKey: { file } })).toEqual([other, one])
})

test('of several keys a malformed one is refused, wherever it stands', async () => {
  const good = Buffer.alloc(32, 1).toString('base64')
  for (const value of [`${good},c2hvcnQ=`, `c2hvcnQ=,${good}`, `${good}${good}`, ',']) {
    await expect(load({ keyEncryptionKey: { value } })).rejects.toThrow('not 32 bytes in base64')
  }
})
