import { createPrivateKey, randomUUID, sign } from 'node:crypto'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

export type AssertionSource = {
  /** PKCS#8. */
  privateKey: string
  /** RS256, as the common clients have it, where nothing else is said. ES256 costs the load generator a twentieth. */
  algorithm?: 'RS256' | 'ES256'
  keyId: string
  accountId: string
  issuer: string
}

/** Assertions without end. */
export type AssertionStream = {
  /** The next one; few stand ready, so that none gets old. */
  next(): Promise<string>
  stop(): Promise<unknown>
}

type Share = { sources: readonly AssertionSource[]; count: number; isStream: boolean }

const THREADS = 2
const LIFETIME_SECONDS = 3_600
/** Of a stream, by one message; as many are made when no more than these stand ready. */
const STREAM_SHARE = 500

/**
 * Prepares assertions, each with a `jti` of its own. They hold as grant (RFC 7523 §2.1) and
 * as client assertion (§2.2) alike, so that every server is sent the very same ones. Several sources take turns.
 */
export async function prepareAssertions(
  source: AssertionSource | readonly AssertionSource[],
  count: number,
): Promise<string[]> {
  const sources = [source].flat()
  const shares = await Promise.all(
    Array.from({ length: THREADS }, (_, thread) => {
      const own = sources.filter((_source, index) => sources.length < THREADS || index % THREADS === thread)
      return signInThread({ sources: own, count: Math.ceil(count / THREADS), isStream: false })
    }),
  )
  return shares.flat().slice(0, count)
}

function signInThread(share: Share): Promise<string[]> {
  return new Promise((resolve, reject) => {
    new Worker(new URL(import.meta.url), { workerData: share }).once('message', resolve).once('error', reject)
  })
}

/** Prepares assertions as they are used up, in a thread of its own: for load that goes on longer than an assertion is good. */
export function streamAssertions(source: AssertionSource): AssertionStream {
  const thread = new Worker(new URL(import.meta.url), {
    workerData: { sources: [source], count: STREAM_SHARE, isStream: true } satisfies Share,
  })
  const ready: string[] = []
  const waiting: ((assertion: string) => void)[] = []
  let isAsked = true
  thread.on('message', (fresh: string[]) => {
    isAsked = false
    ready.push(...fresh)
    for (const resolve of waiting.splice(0, ready.length)) resolve(take())
  })
  return {
    next: () =>
      ready.length > 0 ? Promise.resolve(take()) : new Promise((resolve) => waiting.push(resolve)),
    stop: () => thread.terminate(),
  }

  function take(): string {
    if (ready.length <= STREAM_SHARE && !isAsked) {
      isAsked = true
      thread.postMessage('more')
    }
    return ready.shift() as string
  }
}

function signAll({ sources, count }: Share): string[] {
  const signers = sources.map(createSigner)
  return Array.from({ length: count }, (_, index) => signers[index % signers.length]?.() ?? '')
}

function createSigner(source: AssertionSource): () => string {
  const { privateKey, keyId, accountId, issuer, algorithm = 'RS256' } = source
  const key = createPrivateKey(privateKey)
  const header = encode({ alg: algorithm, kid: keyId, typ: 'JWT' })
  const iat = Math.floor(Date.now() / 1000)
  const claims = { iss: accountId, sub: accountId, aud: issuer, iat, exp: iat + LIFETIME_SECONDS }
  return () => {
    const input = `${header}.${encode({ ...claims, jti: randomUUID() })}`
    const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
    return `${input}.${signature.toString('base64url')}`
  }
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

if (!isMainThread) {
  const share = workerData as Share
  parentPort?.postMessage(signAll(share))
  if (share.isStream) parentPort?.on('message', () => parentPort?.postMessage(signAll(share)))
}
