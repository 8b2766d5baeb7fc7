import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { codeOf, messageOf, OperatorError } from '../errors.ts'
import { KEY_ENCRYPTION_KEY_BYTES, type KeyEncryptionKeys } from './envelope.ts'

const FILE_NAME = 'key-encryption-key'

/**
 * The keys that wrap what the server must read again, its private signing keys above all: from the environment, from
 * a file, or from `<keys dir>/key-encryption-key`, which is made at the first start unless `NODE_ENV` is production:
 * there an absent key is an operator's mistake, not a first run. The first one wraps; further ones only open what
 * they have wrapped (`rekey`).
 * Throws OperatorError when they are absent, malformed or readable by others.
 */
export async function loadKeyEncryptionKeys(
  config: Pick<Config, 'keyEncryptionKey' | 'keysDir' | 'production'>,
): Promise<KeyEncryptionKeys> {
  if (config.keyEncryptionKey !== undefined && 'value' in config.keyEncryptionKey) {
    return decodeKeys(config.keyEncryptionKey.value, 'COUNTERSIGN_KEY_ENCRYPTION_KEY')
  }
  const isOurs = config.keyEncryptionKey === undefined
  const file = config.keyEncryptionKey?.file ?? join(config.keysDir, FILE_NAME)
  const text = await readKeyFile(file)
  if (text !== undefined) {
    await assertPrivate(file, config.production)
    return decodeKeys(text, file)
  }
  if (!isOurs || config.production) {
    throw new OperatorError(
      `There is no key-encryption key at ${file}. Put 32 random bytes in base64 there (openssl rand -base64 32, mode 0600), ` +
        'or set COUNTERSIGN_KEY_ENCRYPTION_KEY.',
    )
  }
  return createKeyFile(config.keysDir, file)
}

/** One key on a line; in a variable, commas may stand between them. */
function decodeKeys(text: string, source: string): KeyEncryptionKeys {
  const [first = '', ...others] = text.split(/[\s,]+/).filter((part) => part !== '')
  return [decodeKey(first, source), ...others.map((part) => decodeKey(part, source))]
}

function decodeKey(text: string, source: string): Buffer {
  const key = Buffer.from(text, 'base64')
  if (key.length === KEY_ENCRYPTION_KEY_BYTES && key.toString('base64') === text) return key
  throw new OperatorError(
    `The key-encryption key in ${source} is not 32 bytes in base64 (openssl rand -base64 32 makes one).`,
  )
}

async function readKeyFile(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new OperatorError(`The key-encryption key ${file} cannot be read: ${messageOf(error)}`)
  }
}

/** A key that others can read is no secret: fatal in production, mended elsewhere. */
async function assertPrivate(file: string, production: boolean): Promise<void> {
  const { mode } = await stat(file)
  if ((mode & 0o077) === 0) return
  if (production)
    throw new OperatorError(`The key-encryption key ${file} can be read by others: run chmod 600 ${file}.`)
  await chmod(file, 0o600)
}

/**
 * Written whole under another name and then linked: two first starts at once agree on one key, and a crash
 * never leaves half of one.
 */
async function createKeyFile(folder: string, file: string): Promise<KeyEncryptionKeys> {
  const key = randomBytes(KEY_ENCRYPTION_KEY_BYTES)
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const handle = await open(draft, 'wx', 0o600)
    await handle.writeFile(`${key.toString('base64')}\n`)
    await handle.sync()
    await handle.close()
    await link(draft, file)
    return [key]
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return decodeKeys((await readKeyFile(file)) ?? '', file)
    throw new OperatorError(`The key-encryption key cannot be written to ${file}: ${messageOf(error)}`)
  } finally {
    await unlink(draft).catch(() => undefined)
  }
}
