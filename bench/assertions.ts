import { createPrivateKey, randomUUID, sign } from 'node:crypto'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

export type AssertionSource = {
  /** PKCS#8 of an RSA key. */
  privateKey: string
  keyId: string
  accountId: string
  issuer: string
}

type Share = AssertionSource & { count: number }

const THREADS = 2
const LIFETIME_SECONDS = 3_600

/**
 * Prepares assertions, each with a `jti` of its own, signed RS256 as the common clients do. They hold as grant (RFC 7523 §2.1) and
 * as client assertion (§2.2) alike, so that every server is sent the very same ones.
 */
export async function prepareAssertions(source: AssertionSource, count: number): Promise<string[]> {
  const shares = await Promise.all(
    Array.from({ length: THREADS }, () => signInThread({ ...source, count: Math.ceil(count / THREADS) })),
  )
  return shares.flat().slice(0, count)
}

function signInThread(share: Share): Promise<string[]> {
  return new Promise((resolve, reject) => {
    new Worker(new URL(import.meta.url), { workerData: share }).once('message', resolve).once('error', reject)
  })
}

function signAll({ privateKey, keyId, accountId, issuer, count }: Share): string[] {
  const key = createPrivateKey(privateKey)
  const header = encode({ alg: 'RS256', kid: keyId, typ: 'JWT' })
  const iat = Math.floor(Date.now() / 1000)
  const claims = { iss: accountId, sub: accountId, aud: issuer, iat, exp: iat + LIFETIME_SECONDS }
  return Array.from({ length: count }, () => {
    const input = `${header}.${encode({ ...claims, jti: randomUUID() })}`
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
  })
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

if (!isMainThread) parentPort?.postMessage(signAll(workerData as Share))
