import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { deriveKeys, type KeyEncryptionKeys } from '../signing/envelope.ts'

/** How often the nonce changes. Two of them hold at a time, so one holds for two to four minutes. */
const STEP_MILLISECONDS = 120_000
/** The next one holds too: the clock of the node that gave it out may be ahead of ours. */
const ACCEPTED_STEPS = [0, -1, 1]
/** 128 bits, so that nobody can make the proofs of tomorrow today (RFC 9449 §8). */
const NONCE_OCTETS = 16

/** Where nonces are given out; one from elsewhere does not hold (RFC 9449 §9). */
export type NoncePurpose = 'token endpoint' | 'management API'

/** The nonces that DPoP proofs must bear at one place of this installation. */
export type Nonces = {
  /** The one to give out now. */
  present(): string
  holds(nonce: string): boolean
}

/**
 * Nonces that every node knows without asking: a code of the present step of time, under a key derived from the
 * key-encryption key, which all nodes share. Nothing is stored, and a restart changes nothing. While one
 * key-encryption key takes the place of another, the nonces of both hold.
 */
export function createNonces(options: {
  keyEncryptionKeys: KeyEncryptionKeys
  purpose: NoncePurpose
  clock: Clock
}): Nonces {
  const keys = deriveKeys(options.keyEncryptionKeys, `countersign DPoP nonces of the ${options.purpose}`)
  const presentStep = () => Math.floor(options.clock.now() / STEP_MILLISECONDS)
  return {
    present: () => nonceOf(presentStep(), keys[0]),
    holds: (nonce) =>
      ACCEPTED_STEPS.some((steps) => keys.some((key) => isSame(nonceOf(presentStep() + steps, key), nonce))),
  }
}

function nonceOf(step: number, key: Buffer): string {
  return createHmac('sha256', key)
    .update(String(step))
    .digest()
    .subarray(0, NONCE_OCTETS)
    .toString('base64url')
}

/** Takes the same time wherever they differ: the next step's nonce must not be learned by trying. */
function isSame(expected: string, received: string): boolean {
  const [one, other] = [Buffer.from(expected), Buffer.from(received)]
  return one.length === other.length && timingSafeEqual(one, other)
}
