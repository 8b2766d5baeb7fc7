import { createBackgroundThread } from '../background/thread.ts'
import { type Busy, createTurns } from '../background/turns.ts'
import { Refusal } from '../errors.ts'
import type { PairToMake, RsaPem } from './key-pair-thread.ts'
import { type PublicKeyMaterial, parsePublicKey } from './public-key.ts'

/** Bits of a modulus that can be asked for. */
export type ModulusLength = 2048 | 3072 | 4096

/** A new key pair. The private half is shown to its owner once and kept nowhere. */
export type KeyPair = {
  /** PKCS#8, PEM, not encrypted. */
  privateKeyPem: string
  material: PublicKeyMaterial
}

/** How much generation may be under way in this process. */
export type KeyPairLimits = {
  /** Requests that may wait for their turn, of all organizations together. */
  maxWaiting: number
  /** From the request to the pair. Its caller must still be there to be given the private half. */
  maxMilliseconds: number
  /** Requests of one organization under way or waiting. */
  maxPerOrganization: number
}

/** For who makes one pair and no more: a first start, a command. Ten minutes are for ever. */
export const ONE_PAIR: KeyPairLimits = {
  maxWaiting: 0,
  maxMilliseconds: 600_000,
  maxPerOrganization: 1,
}

/** F4, the exponent that everyone's verifier takes. */
const PUBLIC_EXPONENT = 65_537
/** A 4096-bit pair takes about a second of one core, with a long tail. */
const RETRY_AFTER_SECONDS = 5

/**
 * A generator of RSA pairs within `limits`, one after the other. Pairs are made on a thread of the lowest priority, so that
 * neither the event loop nor whatever else the cores have to do waits for one; the limits keep one organization from
 * taking every turn.
 *
 * The generator throws Refusal `key_generation_busy`, with `retryAfterSeconds`: at once when a limit of numbers is met,
 * and when the pair is not there in time. What is being made is made to its end then, for nobody.
 */
export function createKeyPairGenerator(
  limits: KeyPairLimits,
): (organizationId: string, modulusLength: ModulusLength) => Promise<KeyPair> {
  const underWay = new Map<string, number>()
  const takeTurn = createTurns(limits.maxWaiting, (limit, waiting) => busy(limit, { waiting }))
  const makePem = createBackgroundThread<PairToMake, RsaPem>('key-pair-thread', import.meta.url)

  return async (organizationId, modulusLength) => {
    assertShare(organizationId)
    countOrganization(organizationId, +1)
    const lapse = AbortSignal.timeout(limits.maxMilliseconds)
    try {
      return await takeTurn(() => make(modulusLength), lapse)
    } finally {
      countOrganization(organizationId, -1)
    }
  }

  async function make(modulusLength: ModulusLength): Promise<KeyPair> {
    const { privateKey, publicKey } = await makePem({ modulusLength, publicExponent: PUBLIC_EXPONENT })
    return { privateKeyPem: privateKey, material: parsePublicKey(publicKey, { algorithm: 'RS256' }) }
  }

  function assertShare(organizationId: string): void {
    const ofOrganization = underWay.get(organizationId) ?? 0
    if (ofOrganization >= limits.maxPerOrganization) throw busy('organization', { underWay: ofOrganization })
  }

  function countOrganization(organizationId: string, change: 1 | -1): void {
    const count = (underWay.get(organizationId) ?? 0) + change
    if (count > 0) underWay.set(organizationId, count)
    else underWay.delete(organizationId)
  }
}

function busy(limit: 'organization' | Busy, counts: Record<string, number>): Refusal {
  return new Refusal(
    'key_generation_busy',
    { limit, ...counts },
    {
      hint: 'Too many key pairs are being generated. Try again shortly, or make the pair yourself and send its public half.',
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  )
}
