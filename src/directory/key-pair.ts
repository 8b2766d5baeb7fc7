import { once } from 'node:events'
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

/** Compiled, it stands beside this module under the same ending. */
const THREAD = new URL(`./key-pair-thread${extname(import.meta.url)}`, import.meta.url)

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
  const waiting: (() => void)[] = []
  const make = createMaker()
  let isMaking = false

  return async (organizationId, modulusLength) => {
    assertRoom(organizationId)
    countOrganization(organizationId, +1)
    const lapse = AbortSignal.timeout(limits.maxMilliseconds)
    try {
      await takeTurn(lapse)
      return await unlessLate(make(modulusLength).finally(passTurn), lapse)
    } finally {
      countOrganization(organizationId, -1)
    }
  }

  function assertRoom(organizationId: string): void {
    const ofOrganization = underWay.get(organizationId) ?? 0
    if (ofOrganization >= limits.maxPerOrganization) throw busy('organization', { underWay: ofOrganization })
    if (isMaking && waiting.length >= limits.maxWaiting) throw busy('server', { waiting: waiting.length })
  }

  function countOrganization(organizationId: string, change: 1 | -1): void {
    const count = (underWay.get(organizationId) ?? 0) + change
    if (count > 0) underWay.set(organizationId, count)
    else underWay.delete(organizationId)
  }

  async function takeTurn(lapse: AbortSignal): Promise<void> {
    if (isMaking) await waitForTurn(lapse)
    isMaking = true
  }

  async function waitForTurn(lapse: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.push(resolve)
    lapse.addEventListener('abort', () => {
      const place = waiting.indexOf(resolve)
      if (place !== -1) waiting.splice(place, 1)
    })
    await unlessLate(promise, lapse)
  }

  function unlessLate<Result>(task: Promise<Result>, lapse: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      lapse.addEventListener('abort', () => reject(busy('time', { waiting: waiting.length })))
      task.then(resolve, reject)
    })
  }

  /** Hands the turn to the longest waiting, if anybody waits: nobody else can take it in between. */
  function passTurn(): void {
    const next = waiting.shift()
    if (next === undefined) isMaking = false
    else next()
  }
}

/**
 * Makes pairs, one at a time, on a thread that is started for the first and kept for the next. Waiting for a pair keeps
 * the process alive; the thread alone does not.
 */
function createMaker(): (modulusLength: ModulusLength) => Promise<KeyPair> {
  let thread: Worker | undefined

  return async (modulusLength) => {
    const { privateKey, publicKey } = await makeOnThread({ modulusLength, publicExponent: PUBLIC_EXPONENT })
    return { privateKeyPem: privateKey, material: parsePublicKey(publicKey, { algorithm: 'RS256' }) }
  }

  async function makeOnThread(pair: PairToMake): Promise<RsaPem> {
    thread ??= new Worker(THREAD)
    thread.ref()
    thread.postMessage(pair)
    try {
      const [pem] = await once(thread, 'message')
      thread.unref()
      return pem
    } catch (error) {
      // An error ends a thread.
      thread = undefined
      throw error
    }
  }
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
