import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import { Refusal } from '../errors.ts'
import { readBytes } from './bytes.ts'

/** A form or query as sent: every value of every name, in order. Names are data, never keys of an object. */
export type Form = ReadonlyMap<string, readonly string[]>

/** Room for an assertion far over its own cap, so that the assertion's own refusal names the fault. */
const MAX_BODY_BYTES = 131_072
/** A token request has a dozen. Pages of the console may have a box for each of many permissions: they say so. */
const MAX_PARAMETERS = 100
const FORM_TYPE = /^application\/x-www-form-urlencoded[ \t]*(;|$)/i
const CHARSET = /;[ \t]*charset[ \t]*=[ \t]*"?([^";\s]+)"?/i

/** The form of a request, read and parsed. Throws what `readBytes` and `parseForm` throw. */
export async function readForm(req: IncomingMessage, res: ServerResponse): Promise<Form> {
  const body = await readBytes(req, res, MAX_BODY_BYTES)
  return parseForm(req.headers['content-type'], body)
}

/** Reads the body for handlers of Express. Its own form parsers build objects and arrays from names; this does not. */
export const readBody: RequestHandler = async (req, res, next) => {
  req.body = await readBytes(req, res, MAX_BODY_BYTES)
  next()
}

/**
 * Parses an `application/x-www-form-urlencoded` body (RFC 6749 §3.2, Appendix B): UTF-8 only, no broken
 * percent-sequences, no NUL. A parameter without a value counts as absent.
 * Throws Refusal `media_type_unsupported` or `request_malformed`.
 */
export function parseForm(
  contentType: string | undefined,
  body: unknown,
  maxParameters: number = MAX_PARAMETERS,
): Form {
  assertFormType(contentType)
  return parseParameters(decodeBody(body), maxParameters)
}

/**
 * Parses the query of a request's URL by the same rules: every value of every name, nothing guessed.
 * Throws Refusal `request_malformed`.
 */
export function parseQuery(url: string): Form {
  const start = url.indexOf('?')
  return parseParameters(start === -1 ? '' : url.slice(start + 1), MAX_PARAMETERS)
}

function parseParameters(text: string, maxParameters: number): Form {
  const form = new Map<string, string[]>()
  let count = 0
  for (const pair of text.split('&')) {
    if (pair === '') continue
    if (++count > maxParameters) throw malformed('There are too many parameters.')
    const split = pair.indexOf('=')
    const name = decodeComponent(split === -1 ? pair : pair.slice(0, split))
    const value = split === -1 ? '' : decodeComponent(pair.slice(split + 1))
    const values = form.get(name)
    if (values === undefined) form.set(name, [value])
    else values.push(value)
  }
  return form
}

/** The value of a parameter that may be sent once; undefined when absent or empty. Throws `parameter_repeated`. */
export function findOne(form: Form, name: string): string | undefined {
  const values = form.get(name) ?? []
  if (values.length > 1)
    throw new Refusal('parameter_repeated', { name }, { hint: `${name} is given more than once.` })
  return values[0] === '' ? undefined : values[0]
}

/** The value of a parameter that must be sent once. Throws `parameter_missing` or `parameter_repeated`. */
export function requireOne(form: Form, name: string): string {
  const value = findOne(form, name)
  if (value === undefined) throw new Refusal('parameter_missing', { name }, { hint: `${name} is missing.` })
  return value
}

/** All values of a parameter that may repeat, without empty ones. */
export function findAll(form: Form, name: string): readonly string[] {
  return (form.get(name) ?? []).filter((value) => value !== '')
}

function assertFormType(contentType: string | undefined): void {
  if (contentType === undefined || !FORM_TYPE.test(contentType)) {
    throw new Refusal(
      'media_type_unsupported',
      { contentType },
      { hint: 'Send application/x-www-form-urlencoded.' },
    )
  }
  const charset = CHARSET.exec(contentType)?.[1]
  if (charset !== undefined && charset.toLowerCase() !== 'utf-8' && charset.toLowerCase() !== 'utf8') {
    throw new Refusal('media_type_unsupported', { charset }, { hint: 'Send UTF-8.' })
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeBody(body: unknown): string {
  try {
    return body instanceof Uint8Array ? utf8.decode(body) : ''
  } catch {
    throw malformed('The body is not UTF-8.')
  }
}

function decodeComponent(text: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw malformed('A parameter has a percent-sequence that is not UTF-8.')
  }
  if (decoded.includes('\u0000')) throw malformed('A parameter has a NUL character.')
  return decoded
}

function malformed(hint: string): Refusal {
  return new Refusal('request_malformed', { fact: hint }, { hint })
}
