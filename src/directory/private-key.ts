import { createPrivateKey } from 'node:crypto'
import { privateKeyGiven } from './key-fault.ts'

/**
 * Text that only a private key bears: any PEM label that ends so (PKCS#8, encrypted PKCS#8, PKCS#1, SEC1,
 * OpenSSH, PGP), PuTTY's format, and the first bytes of an OpenSSH key without its armour. The bounded
 * repetition keeps the search linear.
 */
const PRIVATE_MARK = /BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|PuTTY-User-Key-File-|openssh-key-v1/i

/** Private members of RSA, EC, OKP and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

const DER_TYPES = ['pkcs8', 'pkcs1', 'sec1'] as const

/**
 * Refuses text in which a private key shows, also inside JSON (a whole key file pasted by mistake). It runs
 * before anything is parsed, because Node's createPublicKey silently takes a private key and derives the
 * public half from it.
 *
 * @throws Refusal `private_key_given`
 */
export function assertNoPrivateText(text: string): void {
  if (PRIVATE_MARK.test(text)) throw privateKeyGiven('pem')
}

/**
 * Refuses JSON that holds a private or symmetric JWK, at the top or anywhere inside (a JWK Set, a wrapper).
 *
 * @throws Refusal `private_key_given`
 */
export function assertNoPrivateMembers(root: object): void {
  // A list of what is still to be seen, not recursion: the nesting is the sender's to choose.
  const pending: object[] = [root]
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if ((value === root || Object.hasOwn(value, 'kty')) && hasPrivateMember(value)) {
      throw privateKeyGiven('jwk')
    }
    for (const inner of Object.values(value)) {
      if (typeof inner === 'object' && inner !== null) pending.push(inner)
    }
  }
}

/**
 * Refuses bytes that are a private key, whatever their label says: a PKCS#1 private key under
 * `BEGIN RSA PUBLIC KEY` would otherwise be read as one, and base64 often comes without its label.
 *
 * @throws Refusal `private_key_given`
 */
export function assertNotPrivateDer(der: Buffer): void {
  // Base64 of a whole PEM file, as Kubernetes secrets hold it, decodes to text.
  assertNoPrivateText(der.toString('latin1'))
  if (DER_TYPES.some((type) => isPrivateDer(der, type))) throw privateKeyGiven('der')
}

function hasPrivateMember(value: object): boolean {
  // Some serialisers write every absent member as null; that gives nothing away.
  const members = new Map(Object.entries(value))
  return PRIVATE_MEMBERS.some((name) => (members.get(name) ?? null) !== null)
}

function isPrivateDer(der: Buffer, type: (typeof DER_TYPES)[number]): boolean {
  try {
    createPrivateKey({ key: der, format: 'der', type })
    return true
  } catch (error) {
    // An encrypted PKCS#8 key is recognised, and only its passphrase is missing.
    return (error as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE'
  }
}
