import { createHmac, randomBytes } from 'node:crypto'
import { safeEqual } from './safe-equal.ts'

/** What every authenticator application understands: HMAC-SHA-1, 6 digits, 30 seconds (RFC 6238 §4). */
const DIGITS = 6
const STEP_SECONDS = 30
/** RFC 4226 §4, R6: 160 bits are recommended. */
const SECRET_OCTETS = 20
/** Steps to either side that are taken: clocks differ, and typing takes time (RFC 6238 §5.2). */
const WINDOW_STEPS = 1

/** The form of a code. */
export const TOTP_CODE = /^\d{6}$/

/** A new secret of a second factor. */
export function createTotpSecret(): Buffer {
  return randomBytes(SECRET_OCTETS)
}

/** The code of a step (RFC 4226 §5.3). Pure. */
export function codeOf(secret: Buffer, step: number, digits = DIGITS): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const offset = (mac[mac.length - 1] as number) & 0x0f
  const number = mac.readUInt32BE(offset) & 0x7fffffff
  return String(number % 10 ** digits).padStart(digits, '0')
}

/** The step that a time lies in; `now` in milliseconds. */
export function stepAt(now: number): number {
  return Math.floor(now / 1000 / STEP_SECONDS)
}

/** The step near `now` (milliseconds) whose code this is; undefined when it is of none. Pure. */
export function findStep(secret: Buffer, code: string, now: number): number | undefined {
  const present = stepAt(now)
  let found: number | undefined
  // All of them are compared, so that time tells nothing.
  for (let step = present - WINDOW_STEPS; step <= present + WINDOW_STEPS; step++) {
    if (safeEqual(codeOf(secret, step), code)) found = step
  }
  return found
}

/** What an authenticator application reads from a QR code (the Key URI format that all of them follow). */
export function toKeyUri(secret: Buffer, names: { issuer: string; account: string }): string {
  const label = `${encodeURIComponent(names.issuer)}:${encodeURIComponent(names.account)}`
  const parameters = [
    `secret=${toBase32(secret)}`,
    `issuer=${encodeURIComponent(names.issuer)}`,
    'algorithm=SHA1',
    `digits=${DIGITS}`,
    `period=${STEP_SECONDS}`,
  ]
  return `otpauth://totp/${label}?${parameters.join('&')}`
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648 §6, without padding: how a secret is typed in by hand. Pure. */
export function toBase32(octets: Buffer): string {
  let bits = ''
  for (const octet of octets) bits += octet.toString(2).padStart(8, '0')
  const groups = bits.match(/.{1,5}/g) ?? []
  return groups.map((group) => BASE32[Number.parseInt(group.padEnd(5, '0'), 2)]).join('')
}
