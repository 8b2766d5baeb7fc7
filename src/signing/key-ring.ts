import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import { createBatch } from '../database/batch.ts'
import type { Db } from '../database/connect.ts'
import { listPublishedSigningKeys } from '../database/queries/signing-keys.ts'
import type { PublicJwk, SigningAlgorithm, SigningKeyRow } from '../database/tables.ts'
import { OperatorError } from '../errors.ts'
import { isId } from '../ids.ts'
import { type KeyEncryptionKeys, unwrap } from './envelope.ts'
import type { KeyTurn } from './lifecycle.ts'

/** A key that signs: its `kid` is its id. */
export type SigningKey = { kid: string; algorithm: SigningAlgorithm; privateKey: KeyObject }
export type VerificationKey = { kid: string; algorithm: SigningAlgorithm; publicKey: KeyObject }

/** A published key and its turn. */
export type PublishedKey = KeyTurn & {
  /** Whether this node has the private half: of every key that signs or will, unless it lacks a key-encryption key. */
  canSign: boolean
}

/**
 * The server's own keys. Key material never changes under its id, so it is kept; which key signs and which is gone
 * does, so that is asked of the database: by the statement that records a token, by the one that reads it at
 * introspection, and here for what needs it otherwise.
 */
export type KeyRing = {
  /**
   * The key that was named as the active one of its algorithm when a token was recorded; if it has been revoked since
   * then, the one in its place.
   */
  signingKey(kid: string, algorithm: SigningAlgorithm): Promise<SigningKey>
  /** The active key of an algorithm, as the database has it now. */
  activeKey(algorithm: SigningAlgorithm): Promise<SigningKey>
  /**
   * The published key with that `kid`; undefined when there is none. That it is still published is not certain:
   * who must know asks the database.
   */
  verificationKey(kid: string): Promise<VerificationKey | undefined>
  /** Public halves for `jwks.json` (RFC 7517 §5), as the database has them now: first those that sign. */
  jwks(): Promise<{ keys: JWK[] }>
  /** The published keys as they were read last. */
  published(): readonly PublishedKey[]
  /** Reads the keys anew. */
  reload(): Promise<void>
}

export type KeyRingOptions = {
  db: Db
  keyEncryptionKeys: KeyEncryptionKeys
  /** Told of the keys whenever one of those known so far has begun or stopped to sign or is gone, or one was added. */
  onChange?: (keys: readonly PublishedKey[]) => void
}

/** Those who ask while the keys are being read share the next reading. */
const RELOAD_LIMITS = { maxItems: 10_000, maxWaiting: 10_000 }

/**
 * Loads the published keys; there are none yet at the first start.
 * Throws OperatorError when they were wrapped under another key-encryption key.
 */
export async function openKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  const { db, keyEncryptionKeys, onChange } = options
  let keys: ReadonlyMap<string, RingKey> = new Map()

  const read = async () => {
    const rows = await listPublishedSigningKeys(db)
    const loaded = rows.map((row) => loadKey(row, keyEncryptionKeys, keys.get(row.id)))
    const hasChanged = keys.size > 0 && turnsOf(loaded) !== turnsOf([...keys.values()])
    keys = new Map(loaded.map((key) => [key.row.id, key]))
    if (hasChanged) onChange?.(published())
  }
  // Whoever waits here asked after the last reading had begun: what was committed before is seen.
  const share = createBatch(async (waiting: readonly undefined[]) => {
    await read()
    return waiting
  }, RELOAD_LIMITS)
  const reload = async () => {
    await share(undefined)
  }
  const published = () => [...keys.values()].map(toPublished)

  await read()
  for (const key of keys.values()) requirePrivateHalf(key)

  return {
    async signingKey(kid, algorithm) {
      const known = keys.get(kid)
      if (known?.privateKey !== undefined) return toSigningKey(known)
      await reload()
      const fresh = keys.get(kid)
      return toSigningKey(fresh?.privateKey === undefined ? findActive(algorithm) : fresh)
    },
    async activeKey(algorithm) {
      await reload()
      return toSigningKey(findActive(algorithm))
    },
    async verificationKey(kid) {
      if (!isId('sig', kid)) return undefined
      if (!keys.has(kid)) await reload()
      const key = keys.get(kid)
      return key && { kid, algorithm: key.row.algorithm, publicKey: key.publicKey }
    },
    async jwks() {
      // A database that cannot be reached must not keep resource servers from verifying.
      await reload().catch(() => undefined)
      return { keys: inOrder([...keys.values()]).map(toJwk) }
    },
    published,
    reload,
  }

  function findActive(algorithm: SigningAlgorithm): RingKey {
    const active = [...keys.values()].find(
      ({ row }) => row.algorithm === algorithm && row.status === 'active',
    )
    if (active === undefined) throw new Error(`no active signing key for ${algorithm}`)
    return active
  }
}

type RingKey = {
  row: SigningKeyRow
  publicKey: KeyObject
  /** undefined for a key that signs no more, and for one that no key-encryption key of this node opens. */
  privateKey: KeyObject | undefined
}

/** What is known already is not imported again. */
function loadKey(
  row: SigningKeyRow,
  keyEncryptionKeys: KeyEncryptionKeys,
  known: RingKey | undefined,
): RingKey {
  const { id, publicKey, wrappedPrivateKey } = row
  return {
    row,
    publicKey: known?.publicKey ?? createPublicKey({ key: publicKey, format: 'jwk' }),
    privateKey:
      wrappedPrivateKey === null
        ? undefined
        : (known?.privateKey ?? openPrivateKey(wrappedPrivateKey, keyEncryptionKeys, id)),
  }
}

function openPrivateKey(
  wrapped: Buffer,
  keyEncryptionKeys: KeyEncryptionKeys,
  id: string,
): KeyObject | undefined {
  let pem: Buffer
  try {
    pem = unwrap(wrapped, keyEncryptionKeys, id)
  } catch {
    return undefined
  }
  return createPrivateKey(pem)
}

/** Of a key that may come to sign. Throws OperatorError. */
function requirePrivateHalf({ row, privateKey }: RingKey): void {
  if (row.status === 'retiring' || privateKey !== undefined) return
  throw new OperatorError(
    'The signing keys in the database were encrypted under another key-encryption key. ' +
      'Give this server the key that the database was set up with.',
  )
}

function toSigningKey(key: RingKey): SigningKey {
  const { row, privateKey } = key
  if (privateKey !== undefined) return { kid: row.id, algorithm: row.algorithm, privateKey }
  throw new Error(`no key-encryption key of this node opens the signing key ${row.id}`)
}

const ORDER = { active: 0, next: 1, retiring: 2, gone: 3 } as const

/** Who takes the first key that fits finds the one that signs. */
function inOrder(keys: readonly RingKey[]): RingKey[] {
  return keys.toSorted((one, other) => ORDER[one.row.status] - ORDER[other.row.status])
}

function toPublished({ row, privateKey }: RingKey): PublishedKey {
  const { id, algorithm, status, createdAt, activatedAt, retiredAt } = row
  return { id, algorithm, status, createdAt, activatedAt, retiredAt, canSign: privateKey !== undefined }
}

function toJwk({ row }: RingKey): JWK {
  return { ...(row.publicKey satisfies PublicJwk), kid: row.id, alg: row.algorithm, use: 'sig' }
}

function turnsOf(keys: readonly RingKey[]): string {
  return keys.map(({ row }) => `${row.id} ${row.status}`).join()
}
