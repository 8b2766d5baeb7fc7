import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KeyFile } from '../../src/directory/key-file.ts'
import { type Fixture, must, type TestServer } from '../support/server.ts'

/** Key files as an integration has them on its disk, in a folder that only this user can read. */
export type KeyFiles = {
  /** Lets the management API generate a key for the account, and saves the file; answers its path. */
  download(fixture: Fixture): Promise<{ path: string; keyFile: KeyFile }>
  /** Saves a key file with some members changed. */
  save(keyFile: KeyFile, changes?: Partial<KeyFile>): string
  remove(): void
}

export function createKeyFiles(server: TestServer): KeyFiles {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-interop-'))
  let count = 0
  return {
    async download(fixture) {
      const { key_file: keyFile } = await must(
        server.api('POST', `${fixture.accountPath}/keys`, { type: 'rsa', format: 'json' }),
      )
      return { path: this.save(keyFile), keyFile }
    },
    save(keyFile, changes = {}) {
      const path = join(folder, `key-${++count}.json`)
      writeFileSync(path, JSON.stringify({ ...keyFile, ...changes }, null, 2), { mode: 0o600 })
      return path
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
