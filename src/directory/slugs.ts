import { randomBytes } from 'node:crypto'

const MAX_LENGTH = 63
/** Room for a suffix that tells accounts of one name apart. */
const MAX_BASE_LENGTH = 50
const SUFFIX_OCTETS = 3

/** A slug that reads like the name: lower-case letters, digits, inner hyphens. Pure. */
export function slugFromName(name: string): string {
  const letters = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
  const slug = letters.slice(0, MAX_BASE_LENGTH).replace(/^-+|-+$/g, '')
  return slug === '' ? 'account' : slug
}

/** The same with a random ending, for when the plain one is taken. */
export function withSuffix(slug: string): string {
  return `${slug}-${randomBytes(SUFFIX_OCTETS).toString('hex')}`.slice(0, MAX_LENGTH)
}
