import { link, mkdir, open, readFile, unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Trx } from '../database/connect.ts'
import { lockAccount, type ServiceAccount } from '../database/queries/accounts.ts'
import { findKey, listKeys } from '../database/queries/keys.ts'
import type { OrganizationRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { codeOf, messageOf, OperatorError } from '../errors.ts'
import { systemActor } from './actor.ts'
import { type KeyFile, parseKeyFile } from './key-file.ts'
import { storeKey } from './new-key.ts'
import { prepareKey } from './prepared-key.ts'
import type { DirectoryServices } from './services.ts'

const FILE_NAME = 'operator.json'
const DRAFT_NAME = 'operator.json.draft'
const KEY_NAME = 'Operator key file'

/** The account `operator` and its organization. */
export type OperatorOwner = { organization: OrganizationRow; account: ServiceAccount }

/** What stands in the keys folder for the account `operator`. */
export type OperatorKeyFile = {
  /** Its key file, made by this call or before; the key file of another installation; or none. */
  state: 'created' | 'present' | 'foreign' | 'absent'
  path: string
  /** The issuer that the file names, which may be a former one. */
  issuer: string | undefined
  /** Whether the account has or had any key. */
  hasKeys: boolean
}

type Services = DirectoryServices & { keysDir: string }

/**
 * Looks for the operator's key file, and first finishes what a start that was killed had begun. Otherwise
 * changes nothing. Throws OperatorError when the keys folder cannot be used.
 */
export async function readOperatorKeyFile(
  services: Pick<Services, 'db' | 'keysDir'>,
  { account }: OperatorOwner,
): Promise<OperatorKeyFile> {
  return transact(services.db, async (trx) => {
    await lockAccount(trx, account.id)
    await settleDraft(trx, services.keysDir, account.id)
    return look(trx, services.keysDir, account.id)
  })
}

/**
 * Generates a key of the operator and writes its key file, unless one is there by then. A crash at any moment
 * leaves either no key, or a key with its file: the file is written whole beside its place before the row is
 * committed, and takes its place after; a start in between finishes it or throws it away.
 * Throws OperatorError when the keys folder cannot be used or has the key file of another installation.
 */
export async function createOperatorKeyFile(
  services: Services,
  owner: OperatorOwner,
  options: { evenIfItHasKeys: boolean },
): Promise<OperatorKeyFile> {
  const prepared = await prepareKey(services, owner, KEY_REQUEST, services.clock.now())
  if (prepared.secret?.format !== 'json') throw new Error('the operator key was not made as a key file')
  const text = `${JSON.stringify(prepared.secret.keyFile, null, 2)}\n`
  const { keysDir } = services
  const isStored = await transact(services.db, async (trx) => {
    // Also what keeps two servers that share the keys folder from using the draft at once.
    await lockAccount(trx, owner.account.id)
    await settleDraft(trx, keysDir, owner.account.id)
    const found = await look(trx, keysDir, owner.account.id)
    if (found.state === 'foreign') throw foreignFile(found.path)
    if (found.state !== 'absent' || (found.hasKeys && !options.evenIfItHasKeys)) return false
    await writeDraft(keysDir, text)
    await storeKey(trx, systemActor, owner, prepared)
    return true
  })
  const result = await readOperatorKeyFile(services, owner)
  return isStored && result.state === 'present' ? { ...result, state: 'created' } : result
}

/** What to tell about an `operator.json` that is not of this installation. */
export function foreignFile(path: string): OperatorError {
  return new OperatorError(
    `${path} is the key file of another installation. Move it away if that one is gone, ` +
      'or choose another folder with --keys-dir or COUNTERSIGN_KEYS_DIR.',
  )
}

const KEY_REQUEST = {
  type: 'rsa',
  name: KEY_NAME,
  notBefore: null,
  expiresAt: null,
  algorithm: undefined,
  modulusLength: undefined,
  format: 'json',
} as const

async function look(trx: Trx, keysDir: string, accountId: string): Promise<OperatorKeyFile> {
  const path = resolve(keysDir, FILE_NAME)
  const file = await readKeyFile(path)
  const keys = await listKeys(trx, accountId, { includeRevoked: true }, { limit: 1, before: undefined })
  const state = file === undefined ? 'absent' : file.client_id === accountId ? 'present' : 'foreign'
  return { state, path, issuer: file?.issuer, hasKeys: keys.length > 0 }
}

/**
 * A draft whose key was committed takes its place; any other was never worth anything. Called with the account
 * held, so that the draft of a transaction under way is out of sight.
 */
async function settleDraft(trx: Trx, keysDir: string, accountId: string): Promise<void> {
  const draft = join(keysDir, DRAFT_NAME)
  const file = await readKeyFile(draft).catch(() => 'torn' as const)
  if (file === undefined) return
  const isCommitted = file !== 'torn' && (await findKey(trx, accountId, file.private_key_id)) !== undefined
  try {
    // A link, not a rename: it never replaces a file that is there.
    if (isCommitted) await link(draft, join(keysDir, FILE_NAME))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw unusable(keysDir, error)
  }
  await unlink(draft).catch((error) => {
    throw unusable(keysDir, error)
  })
}

async function readKeyFile(path: string): Promise<KeyFile | undefined> {
  try {
    return parseKeyFile(await readFile(path, 'utf8'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new OperatorError(`${path} cannot be used: ${messageOf(error)}`)
  }
}

async function writeDraft(keysDir: string, text: string): Promise<void> {
  try {
    await mkdir(keysDir, { recursive: true, mode: 0o700 })
    const handle = await open(join(keysDir, DRAFT_NAME), 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await syncFolder(keysDir)
  } catch (error) {
    throw unusable(keysDir, error)
  }
}

/** The name of a new file is on disk only once its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function unusable(keysDir: string, error: unknown): OperatorError {
  return new OperatorError(
    `The operator's key file cannot be written to ${resolve(keysDir)}: ${messageOf(error)}. ` +
      'Choose another folder with --keys-dir or COUNTERSIGN_KEYS_DIR.',
  )
}
