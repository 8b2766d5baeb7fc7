import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../config.ts'
import { codeOf, messageOf } from '../../errors.ts'
import { loadKeyEncryptionKeys } from '../../signing/key-encryption-keys.ts'
import { type Check, count, failed, ok, warning } from './check.ts'

const NAME = 'keys folder'
/** Bits of a mode that let anybody but the owner in. */
const OTHERS = 0o077
const OTHERS_WRITE = 0o022
/** No secret: it comes with the sources. */
const README = 'README.md'

/** Whether the folder of secrets, and each file in it, is its owner's alone. */
export async function checkKeysFolder({ keysDir }: Pick<Config, 'keysDir'>): Promise<Check> {
  try {
    const files = (await readdir(keysDir))
      .filter((name) => name !== README)
      .map((name) => join(keysDir, name))
    const open: string[] = []
    for (const file of files) if (((await stat(file)).mode & OTHERS) !== 0) open.push(file)
    if (open.length > 0) {
      return failed(
        NAME,
        `others than their owner can reach ${open.join(', ')}`,
        `Run chmod 600 ${open.join(' ')}.`,
      )
    }
    const { mode } = await stat(keysDir)
    if ((mode & OTHERS_WRITE) !== 0) {
      return failed(NAME, `others than its owner can put files into ${keysDir}`, `Run chmod 700 ${keysDir}.`)
    }
    const found = `${keysDir} with ${count(files.length, 'file')}`
    return (mode & OTHERS) === 0
      ? ok(NAME, `${found}, its owner's alone`)
      : warning(NAME, `${found}; others than its owner can look into it`, `Run chmod 700 ${keysDir}.`)
  } catch (error) {
    // The key-encryption key may come from elsewhere, and then there is nothing to keep here.
    if (codeOf(error) === 'ENOENT') return ok(NAME, `there is none at ${keysDir}`)
    return failed(
      NAME,
      `${keysDir} cannot be read (${messageOf(error)})`,
      'Give it to the user who runs the server.',
    )
  }
}

/** Whether the key-encryption key is there, well formed and private. Creates and mends nothing. */
export async function checkKeyEncryptionKey(config: Config): Promise<Check> {
  const name = 'key-encryption key'
  try {
    // As strictly as in production, where a missing key is not made and an open one not closed.
    const [, ...others] = await loadKeyEncryptionKeys({ ...config, production: true })
    const found = `from ${describeSource(config)}`
    if (others.length === 0) return ok(name, found)
    return warning(
      name,
      `${found}, with ${count(others.length, 'further key')} that only open${others.length === 1 ? 's' : ''}`,
      'Finish the replacement: countersign rekey until nothing is wrapped anew, then remove the former key.',
    )
  } catch (error) {
    return failed(name, messageOf(error), 'Without it nothing that is stored encrypted can be read.')
  }
}

function describeSource({ keyEncryptionKey, keysDir }: Config): string {
  if (keyEncryptionKey === undefined) return join(keysDir, 'key-encryption-key')
  return 'value' in keyEncryptionKey ? 'COUNTERSIGN_KEY_ENCRYPTION_KEY' : keyEncryptionKey.file
}
