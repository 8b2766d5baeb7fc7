import { type Argon2Parameters, randomBytes, timingSafeEqual } from 'node:crypto'
import { createBackgroundThread } from '../background/thread.ts'
import { createTurns } from '../background/turns.ts'
import { Refusal } from '../errors.ts'

/** Parameters of argon2id (RFC 9106), as a stored hash bears them. */
type Parameters = { memoryKibibytes: number; passes: number; parallelism: number }

/** OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes, 1 lane. */
const PRESENT: Parameters = { memoryKibibytes: 19_456, passes: 2, parallelism: 1 }
/** RFC 9106 §3.1: 16 octets of salt. */
const SALT_OCTETS = 16
const TAG_OCTETS = 32
/** Each hash takes its thread some hundredths of a second, longer while the cores are busy with tokens. */
const MAX_WAITING = 50
const RETRY_AFTER_SECONDS = 2

/** Hashes passwords within this process' limits. Throws Refusal `too_many_requests` when too many wait. */
export type PasswordHasher = {
  /** A new hash, in PHC string format. */
  hash(password: string): Promise<string>
  /**
   * Whether the password is that of the stored hash. Without one the same work is done in vain, so that time
   * does not tell which addresses exist.
   */
  verify(password: string, stored: string | null): Promise<boolean>
}

/** Builds a hasher; one for each process. */
export function createPasswordHasher(): PasswordHasher {
  const takeTurn = createTurns(
    MAX_WAITING,
    (_limit, waiting) =>
      new Refusal('too_many_requests', { waiting }, { retryAfterSeconds: RETRY_AFTER_SECONDS }),
  )
  const compute = createBackgroundThread<Argon2Parameters, Uint8Array>('password-thread', import.meta.url)
  return {
    hash: (password) =>
      takeTurn(async () => {
        const salt = randomBytes(SALT_OCTETS)
        return format(PRESENT, salt, await derive(password, salt, PRESENT))
      }),
    verify: (password, stored) =>
      takeTurn(async () => {
        const { parameters, salt, tag } = parse(stored ?? DECOY)
        const isEqual = timingSafeEqual(await derive(password, salt, parameters), tag)
        return isEqual && stored !== null
      }),
  }

  async function derive(password: string, salt: Buffer, parameters: Parameters): Promise<Buffer> {
    const tag = await compute({
      message: password,
      // A copy: a small Buffer is a view of the pool that all share, and the whole of it would travel to the thread.
      nonce: Uint8Array.from(salt),
      memory: parameters.memoryKibibytes,
      passes: parameters.passes,
      parallelism: parameters.parallelism,
      tagLength: TAG_OCTETS,
    })
    return Buffer.from(tag)
  }
}

/** Whether a hash was made with other parameters than those of today. */
export function isOutdated(stored: string): boolean {
  const { memoryKibibytes, passes, parallelism } = parse(stored).parameters
  return (
    memoryKibibytes !== PRESENT.memoryKibibytes ||
    passes !== PRESENT.passes ||
    parallelism !== PRESENT.parallelism
  )
}

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]{43})$/

/** PHC string format: base64 without padding. */
function format({ memoryKibibytes, passes, parallelism }: Parameters, salt: Buffer, tag: Buffer): string {
  const encode = (octets: Buffer) => octets.toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memoryKibibytes},t=${passes},p=${parallelism}$${encode(salt)}$${encode(tag)}`
}

/** Throws for what `format` did not make: nothing else is ever stored. */
function parse(stored: string): { parameters: Parameters; salt: Buffer; tag: Buffer } {
  const [, memory, passes, parallelism, salt = '', tag = ''] = PHC.exec(stored) ?? []
  if (memory === undefined) throw new Error('a stored password hash is not in PHC string format')
  return {
    parameters: {
      memoryKibibytes: Number(memory),
      passes: Number(passes),
      parallelism: Number(parallelism),
    },
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  }
}

/** Compared with where there is no hash; nobody knows a password for it. */
const DECOY = format(PRESENT, randomBytes(SALT_OCTETS), randomBytes(TAG_OCTETS))
