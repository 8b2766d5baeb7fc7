import type { InputFault } from '../errors.ts'
import { escapePointer } from './strict-json.ts'

/**
 * What express-openapi-validator found. `path` begins with `/body` or `/query`; the last part of it, when it
 * is the name of an unknown member, is not escaped. `message` is made from the contract, never from the input.
 */
export type Violation = { path: string; message: string; errorCode?: string }

/** A body with more faults than this is not worth a longer answer. */
const MAX_FAULTS = 20
const SHOWABLE_NAME = /^[A-Za-z0-9_.-]{1,64}$/

/** What is wrong with the query, in a sentence; undefined when nothing is. */
export function toQueryHint(violations: readonly Violation[]): string | undefined {
  const violation = violations.find(({ path }) => path.startsWith('/query/'))
  if (violation === undefined) return undefined
  const given = violation.path.slice('/query/'.length)
  const name = SHOWABLE_NAME.test(given) ? given : 'A query parameter'
  if (violation.message.startsWith('Unknown')) return `${name} is not a parameter of this call.`
  if (violation.message.startsWith('Empty')) return `${name} is empty.`
  if (violation.message.includes('url encoded')) return `${name} must be percent-encoded.`
  return `${name} ${violation.message}.`
}

/** What is wrong with the body, each place once. */
export function toFaults(violations: readonly Violation[], body: unknown): InputFault[] {
  const faults = new Map<string, string>()
  for (const violation of violations) {
    const { pointer, detail } = toFault(violation, body)
    if (!faults.has(pointer)) faults.set(pointer, detail)
  }
  return [...faults].slice(0, MAX_FAULTS).map(([pointer, detail]) => ({ pointer, detail }))
}

function toFault({ path, message, errorCode = '' }: Violation, body: unknown): InputFault {
  const pointer = path.replace(/^\/body/, '')
  switch (errorCode.replace(/\..*$/, '')) {
    case 'required':
      return { pointer: body === undefined ? '' : pointer, detail: 'is required' }
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return { pointer: pointerToUnknown(pointer, body), detail: 'is not a member of this body' }
    case 'discriminator':
      return { pointer: `${pointer}/type`, detail: 'must name one of the types that openapi.yaml describes' }
    default:
      return { pointer, detail: message }
  }
}

/** Follows the path into the body up to the object that has the unknown member, and escapes its name. */
function pointerToUnknown(path: string, body: unknown): string {
  let parent = ''
  let value = body
  let rest = path.slice(1)
  while (typeof value === 'object' && value !== null && !Object.hasOwn(value, rest)) {
    const [segment = '', ...others] = rest.split('/')
    if (others.length === 0) break
    value = (value as Record<string, unknown>)[segment]
    parent += `/${segment}`
    rest = others.join('/')
  }
  return `${parent}/${escapePointer(rest)}`
}
