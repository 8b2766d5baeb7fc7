import { z } from 'zod'
import { type Reason, Refusal } from '../errors.ts'
import type { Form } from '../http/form.ts'
import { type Explanation, explain } from './refusals.ts'
import { UNSENT } from './unsent.ts'
import type { Page, Reply } from './visit.ts'

/** What is wrong with one field. */
export type Fault = { field: string; text: string }

/**
 * A form as it is shown: fresh, or as it was sent, with its faults. Nothing that was typed is lost, but
 * passwords and codes, which no page repeats.
 */
export type Draft = {
  value(name: string): string
  values(name: string): readonly string[]
  faults: readonly Fault[]
  /** Why the whole of it was refused. */
  problem: Explanation | undefined
  refusal: Refusal | undefined
}

type Initial = Readonly<Record<string, string | readonly string[]>>

/** A form that nobody has sent yet. */
export function freshDraft(initial: Initial = {}): Draft {
  const values = (name: string) => [initial[name] ?? []].flat()
  return {
    value: (name) => values(name)[0] ?? '',
    values,
    faults: [],
    problem: undefined,
    refusal: undefined,
  }
}

/** Of a form that somebody has come back to: it is shown as it was typed, and nothing is done yet. */
const NOT_SENT_YET: Explanation = {
  status: 422,
  title: 'This form has not been sent yet',
  text: 'You were signed out before it was. Look over what you typed, and send it.',
}

/** Reads a form by the shape of its fields: what they hold, or the draft that says what to mend. */
export function readForm<Shape extends z.ZodRawShape>(
  form: Form,
  shape: Shape,
): { values: z.infer<z.ZodObject<Shape>> } | { draft: Draft } {
  const given = Object.fromEntries(Object.keys(shape).map((name) => [name, form.get(name) ?? []]))
  if (form.has(UNSENT)) return { draft: { ...sentDraft(form), problem: NOT_SENT_YET } }
  const read = z.object(shape).safeParse(given)
  if (read.success) return { values: read.data as z.infer<z.ZodObject<Shape>> }
  const faults = read.error.issues.map(({ path, message }) => ({ field: String(path[0]), text: message }))
  return { draft: { ...sentDraft(form), faults } }
}

/** Reasons that somebody can mend in the form itself, besides conflicts, faults and limits. */
const MENDABLE: readonly Reason[] = [
  'permission_not_held',
  'password_unconfirmed',
  'email_unknown',
  'organization_ambiguous',
  'account_is_service_account',
  'account_not_active',
  'password_not_set',
  'password_wrong',
  'second_factor_wrong',
  'second_factor_used',
  'openid_not_set',
  'openid_unavailable',
]
const MENDABLE_STATUS = [409, 422, 429]

/**
 * The draft of a form that a rule has refused. `fields` says which field a pointer into the API's body means, such
 * as `{ '/password': 'password' }`. Throws what was thrown when it cannot be mended there.
 */
export function refusedDraft(
  error: unknown,
  form: Form,
  fields: Readonly<Record<string, string>> = {},
): Draft {
  if (!(error instanceof Refusal)) throw error
  const problem = explain(error)
  if (!MENDABLE.includes(error.reason) && !MENDABLE_STATUS.includes(problem.status)) throw error
  const found = error.told.faults ?? []
  const faults = found.flatMap(({ pointer, detail }) => {
    const field = fields[pointer]
    return field === undefined ? [] : [{ field, text: `This ${detail}.` }]
  })
  const isExplained = faults.length > 0 && faults.length === found.length
  const rest = found.map(({ detail }) => detail).join('; ')
  return {
    ...sentDraft(form),
    faults,
    problem: isExplained ? undefined : rest === '' ? problem : { ...problem, text: `${rest}.` },
    refusal: error,
  }
}

/** The draft of a form as it was sent, with a fault that a screen itself has found. */
export function withFault(form: Form, fault: Fault): Draft {
  return { ...sentDraft(form), faults: [fault] }
}

/** The same page once more, with what was typed. */
export function refused(page: Page, { refusal, problem }: Draft): Reply {
  const status = problem?.status
  return { page, status: status === 409 || status === 429 ? status : 422, ...(refusal && { refusal }) }
}

function sentDraft(form: Form): Draft {
  const values = (name: string) => form.get(name) ?? []
  return {
    value: (name) => values(name)[0] ?? '',
    values,
    faults: [],
    problem: undefined,
    refusal: undefined,
  }
}

/** No control characters, nor those by which a name reads like another one; the API has the same rule. */
const ONE_LINE = /^[^\p{Cc}\p{Bidi_C}]*$/u

const one = z.array(z.string()).max(1, 'This field was sent more than once.')

/** One line of text, trimmed. `required` is the sentence that asks for it; without it the field may stay empty. */
export function line(options: { max: number; required?: string }) {
  const { max, required } = options
  const text = z
    .string()
    .regex(ONE_LINE, 'This has characters that cannot be shown.')
    .max(max, `This is longer than ${max} characters.`)
  return one
    .transform((given) => (given[0] ?? '').trim())
    .pipe(required === undefined ? text : text.min(1, required))
}

/** RFC 3986, in the characters that the API takes; a fragment has none of them (RFC 8707 §2). */
const ABSOLUTE_URI = /^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?[\]@!$&'()*+,;=%-]+$/

/** An absolute URI without a fragment. `required` is the sentence that asks for it. */
export function uriLine(options: { required: string; example: string }) {
  const text = `This must be an absolute URI, such as ${options.example}.`
  return line({ max: 500, required: options.required }).pipe(z.string().regex(ABSOLUTE_URI, text))
}

/** Text of several lines, trimmed. `required` as of `line`. */
export function lines(options: { max: number; required?: string }) {
  const { max, required } = options
  const text = z.string().max(max, `This is longer than ${max} characters.`)
  return one
    .transform((given) => (given[0] ?? '').replaceAll('\r\n', '\n').trim())
    .pipe(required === undefined ? text : text.min(1, required))
}

/** A whole number. `text` says what is asked for. */
export function wholeNumber(options: { min: number; max: number; text: string }) {
  const { min, max, text } = options
  return one
    .transform((given) => (given[0] ?? '').trim())
    .pipe(z.string().regex(/^\d{1,9}$/, text))
    .transform(Number)
    .pipe(z.number().min(min, text).max(max, text))
}

/** The same, or nothing: null. */
export function optionalWholeNumber(options: { min: number; max: number; text: string }) {
  const empty = one.refine((given) => (given[0] ?? '').trim() === '').transform(() => null)
  return z.union([empty, wholeNumber(options)], { error: options.text })
}

/** A password or code: not trimmed, and never shown again. */
export function secretLine(required: string) {
  return one
    .transform((given) => given[0] ?? '')
    .pipe(z.string().min(1, required).max(1024, 'This is too long.'))
}

/** An address that somebody signs in with. */
export function emailLine() {
  return line({ max: 254, required: 'Give an address.' }).pipe(
    z.string().regex(/^[^\s@]+@[^\s@]+$/, 'This is not an address, such as ada@acme.example.'),
  )
}

/** One of several; what was not offered is a fault. */
export function choice<const Values extends readonly [string, ...string[]]>(
  values: Values,
  required: string,
) {
  return one.transform((given) => given[0]).pipe(z.enum(values, required))
}

/** Any number of boxes that are ticked. What they mean is for the rule to say. */
export function ticked() {
  return z.array(z.string().max(500))
}
