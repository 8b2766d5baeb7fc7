import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
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
  /** Pairs made at the same time, each on a thread of its own. */
  maxConcurrent: number
  /** Requests that may wait for their turn, of all organizations together. */
  maxWaiting: number
  /** For how long one waits. The pair must still be made in the time that its caller's connection is kept for. */
  maxWaitMilliseconds: number
  /** Requests of one organization under way or waiting. */
  maxPerOrganization: number
}

/** For who makes one pair and no more: a first start, a command. */
export const ONE_PAIR: KeyPairLimits = {
  maxConcurrent: 1,
  maxWaiting: 0,
  maxWaitMilliseconds: 0,
  maxPerOrganization: 1,
}

/** F4, the exponent that everyone's verifier takes. */
const PUBLIC_EXPONENT = 65_537
/** A 4096-bit pair takes about a second of one core, with a long tail. */
const RETRY_AFTER_SECONDS = 5

/** Compiled, it stands beside this module under the same ending. */
const THREAD = new URL(`./key-pair-thread${extname(import.meta.url)}`, import.meta.url)

/**
 * A generator of RSA pairs within `limits`. Pairs are made on threads of the lowest priority, so that neither the event
 * loop nor whatever else the cores have to do waits for one; the limits keep one organization from taking every turn.
 *
 * The generator throws Refusal `key_generation_busy`, with `retryAfterSeconds`: at once when a limit of numbers is met,
 * and when its turn has not come in time.
 */
export function createKeyPairGenerator(
  limits: KeyPairLimits,
): (organizationId: string, modulusLength: ModulusLength) => Promise<KeyPair> {
  const underWay = new Map<string, number>()
  const waiting: (() => void)[] = []
  let running = 0

  return async (organizationId, modulusLength) => {
    assertRoom(organizationId)
    countOrganization(organizationId, +1)
    try {
      await takeTurn()
      try {
        return await makeKeyPair(modulusLength)
      } finally {
        passTurn()
      }
    } finally {
      countOrganization(organizationId, -1)
    }
  }

  function assertRoom(organizationId: string): void {
    const ofOrganization = underWay.get(organizationId) ?? 0
    if (ofOrganization >= limits.maxPerOrganization) throw busy('organization', { underWay: ofOrganization })
    if (running >= limits.maxConcurrent && waiting.length >= limits.maxWaiting) {
      throw busy('server', { running, waiting: waiting.length })
    }
  }

  function countOrganization(organizationId: string, change: 1 | -1): void {
    const count = (underWay.get(organizationId) ?? 0) + change
    if (count > 0) underWay.set(organizationId, count)
    else underWay.delete(organizationId)
  }

  async function takeTurn(): Promise<void> {
    if (running >= limits.maxConcurrent) await waitForTurn()
    else running++
  }

  function waitForTurn(): Promise<void> {
    return new Promise((resolve, reject) => {
      const give = () => {
        clearTimeout(impatience)
        resolve()
      }
      const impatience = setTimeout(() => {
        waiting.splice(waiting.indexOf(give), 1)
        reject(busy('time', { running, waiting: waiting.length }))
      }, limits.maxWaitMilliseconds)
      waiting.push(give)
    })
  }

  /** Hands the turn to the longest waiting, if anybody waits: `running` stays as it is then. */
  function passTurn(): void {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
}

async function makeKeyPair(modulusLength: ModulusLength): Promise<KeyPair> {
  const { privateKey, publicKey } = await makeOnThread({ modulusLength, publicExponent: PUBLIC_EXPONENT })
  return { privateKeyPem: privateKey, material: parsePublicKey(publicKey, { algorithm: 'RS256' }) }
}

function makeOnThread(pair: PairToMake): Promise<RsaPem> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(THREAD, { workerData: pair })
    thread.once('message', resolve).once('error', reject)
    // Too late for one that has posted its pair.
    thread.once('exit', (code) => reject(new Error(`the thread for a key pair ended with code ${code}`)))
  })
}

function busy(limit: 'organization' | 'server' | 'time', counts: Record<string, number>): Refusal {
  return new Refusal(
    'key_generation_busy',
    { limit, ...counts },
    {
      hint: 'Too many key pairs are being generated. Try again shortly, or make the pair yourself and send its public half.',
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  )
}
