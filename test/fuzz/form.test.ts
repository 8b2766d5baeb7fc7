import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Refusal } from '../../src/errors.ts'
import { findAll, parseForm } from '../../src/http/form.ts'
import { attempt } from './attempt.ts'
import { fuzz } from './inputs.ts'
import { anyText, formText, longText } from './texts.ts'

const FORM = 'application/x-www-form-urlencoded'
const MAX_PARAMETERS = 100

const parameterName = fc.oneof(
  fc.constantFrom('grant_type', 'assertion', 'scope', 'resource', 'client_id', 'client_secret'),
  fc.constantFrom('client_assertion', 'client_assertion_type', '__proto__', 'constructor', 'scope[]'),
  formText,
)

/** Pieces that forms are made of, broken ones among them. */
const pieces = fc
  .array(
    fc.constantFrom(
      'a',
      'b',
      '=',
      '&',
      '+',
      '%',
      '%41',
      '%2B',
      '%c3%a9',
      '%c3',
      '%ff',
      '%00',
      'é',
      ';',
      '\0',
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''))

test('[6749-3.2-12] every form comes back as it was sent, names with any meaning to JavaScript included', () =>
  fuzz(
    'form parser',
    fc.array(fc.tuple(parameterName, formText), { maxLength: MAX_PARAMETERS }),
    (pairs) => {
      const form = parseForm(FORM, Buffer.from(new URLSearchParams(pairs).toString()))
      expect(form).toEqual(group(pairs))
      for (const [name, sent] of group(pairs)) {
        expect(findAll(form, name)).toEqual(sent.filter((value) => value !== ''))
      }
    },
    { parts: 2 },
  ))

test('[6749-3.2-4] bytes mean what every browser reads in them, or are refused for a known reason', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((octets) => Buffer.from(octets)),
    fc.oneof(pieces, pieces, anyText, longText).map((text) => Buffer.from(text)),
  )
  return fuzz(
    'form parser',
    bytes,
    (body) => {
      const form = attempt(() => parseForm(FORM, body))
      const pairs = [...new URLSearchParams(`?${body.toString()}`)]
      if (form instanceof Refusal) {
        expect(form.reason).toBe('request_malformed')
        expect(isReadable(body) && pairs.length <= MAX_PARAMETERS).toBe(false)
        return
      }
      expect(form).toEqual(group(pairs))
    },
    { parts: 2 },
  )
})

test('[6749-3.2-2][6749-3.2-4] a media type is that of forms in UTF-8, or is refused', () => {
  const parameter = fc.oneof(
    fc.constantFrom(';', '; charset=utf-8', ';charset="UTF-8"', '; charset = utf8', ';charset=iso-8859-1'),
    fc.constantFrom(';charset', ';charset=', ';charset="', ';x=charset=utf-16', ' ;\tq=1', ','),
    anyText,
  )
  const mediaType = fc.oneof(
    fc.tuple(fc.constantFrom(FORM, FORM.toUpperCase(), `${FORM}x`, 'text/html', ''), parameter),
    fc.tuple(anyText, parameter),
    fc.tuple(fc.constant(FORM), longText),
  )
  return fuzz('media types', mediaType, ([type, rest]) => {
    const form = attempt(() => parseForm(type + rest, Buffer.from('a=b')))
    if (form instanceof Refusal) expect(form.reason).toBe('media_type_unsupported')
    else expect((type + rest).split(';')[0]?.trim().toLowerCase()).toBe(FORM)
  })
})

function group(pairs: readonly (readonly [string, string])[]): Map<string, string[]> {
  const form = new Map<string, string[]>()
  for (const [name, value] of pairs) form.set(name, [...(form.get(name) ?? []), value])
  return form
}

/** What `URLSearchParams` reads without making do: UTF-8 before and after percent-decoding, and no NUL. */
function isReadable(body: Buffer): boolean {
  const octets = body.toString('latin1')
  if (/%(?![0-9a-f]{2})/i.test(octets)) return false
  const decoded = octets.replaceAll(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return [octets, ...decoded.split(/[&=]/)].every(isUtf8) && !decoded.includes('\0')
}

function isUtf8(latin1: string): boolean {
  const octets = Buffer.from(latin1, 'latin1')
  return Buffer.from(octets.toString()).equals(octets)
}
