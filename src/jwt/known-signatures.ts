import { hash, type KeyObject } from 'node:crypto'
import { isSignedWith, type SignatureAlgorithm } from './signature.ts'

/** Signatures of one key that are known at a time. Beyond, the one that was checked first is forgotten. */
const MAX_KNOWN = 10_000

/**
 * `isSignedWith` for JWTs that come again and again, as access tokens do. That a key has signed something never changes, so it
 * is checked once; what the key and the token are good for is asked each time. The JWTs themselves are not kept.
 */
export function createSignatureCheck(maxKnown = MAX_KNOWN): typeof isSignedWith {
  const known = new WeakMap<KeyObject, Set<string>>()
  return (compact: string, algorithm: SignatureAlgorithm, publicKey: KeyObject) => {
    const digest = hash('sha256', `${algorithm} ${compact}`, 'base64')
    const ofKey = known.get(publicKey)
    if (ofKey?.has(digest)) return true
    if (!isSignedWith(compact, algorithm, publicKey)) return false
    if (ofKey === undefined) known.set(publicKey, new Set([digest]))
    else remember(ofKey, digest)
    return true
  }

  function remember(digests: Set<string>, digest: string): void {
    const [first] = digests
    if (digests.size >= maxKnown && first !== undefined) digests.delete(first)
    digests.add(digest)
  }
}
