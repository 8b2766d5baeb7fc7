import type { Request, RequestHandler } from 'express'
import { Refusal } from '../errors.ts'
import { readBytes } from './bytes.ts'
import { assertStorableText, parseStrictJson } from './strict-json.ts'

const MAX_BODY_BYTES = 65_536
const JSON_TYPE = 'application/json'
/** RFC 7396. */
const MERGE_PATCH_TYPE = 'application/merge-patch+json'
const MEDIA_TYPE = /^[ \t]*([^\s;]+)[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*"?([^";\s]+)"?[ \t]*)?$/i

/** Reads the body as it is. Throws what `readBytes` throws. */
export const readBody: RequestHandler = async (req, res, next) => {
  req.body = await readBytes(req, res, MAX_BODY_BYTES)
  next()
}

/**
 * Replaces the bytes of the body by the JSON that they hold; without a body it stays undefined. The content
 * type is put into its plain form, by which openapi.yaml knows it.
 * Throws Refusal `media_type_unsupported`, `request_malformed` or `input_invalid`.
 */
export const parseBody: RequestHandler = (req, _res, next) => {
  const bytes: unknown = req.body
  req.body = undefined
  if (bytes instanceof Uint8Array && bytes.length > 0) {
    req.headers['content-type'] = requireJsonType(req)
    req.body = parseStrictJson(bytes)
    assertStorableText(req.body)
  } else {
    req.headers['content-type'] = JSON_TYPE
  }
  next()
}

function requireJsonType(req: Request): string {
  const allowed = req.method === 'PATCH' ? [JSON_TYPE, MERGE_PATCH_TYPE] : [JSON_TYPE]
  const [, type = '', charset = 'utf-8'] = MEDIA_TYPE.exec(req.get('content-type') ?? '') ?? []
  const isUtf8 = ['utf-8', 'utf8'].includes(charset.toLowerCase())
  const found = allowed.find((candidate) => candidate === type.toLowerCase())
  if (found !== undefined && isUtf8) return found
  throw new Refusal(
    'media_type_unsupported',
    { contentType: req.get('content-type')?.slice(0, 200) },
    { hint: `Send JSON in UTF-8 as ${allowed.join(' or ')}.` },
  )
}
