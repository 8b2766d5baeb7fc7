import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { parseYaml } from '../support/yaml.ts'
import { anyText, formText } from './texts.ts'

/** As much of an OpenAPI 3.1 schema as openapi.yaml makes use of. */
export type Schema = {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  oneOf?: Schema[]
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  minItems?: number
  maxItems?: number
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  format?: string
  example?: unknown
}
export type Parameter = { name: string; in: 'path' | 'query'; required?: boolean; schema: Schema }
export type Operation = {
  /** `POST /api/v1/organizations` */
  name: string
  method: string
  path: string
  parameters: readonly Parameter[]
  body: Schema | undefined
  mediaTypes: readonly string[]
  statuses: readonly number[]
}

type RawOperation = {
  parameters?: (Parameter | { $ref: string })[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, unknown>
}
type Contract = {
  paths: Record<string, Record<string, RawOperation> & { parameters?: RawOperation['parameters'] }>
  'x-problems': { code: string; status: number }[]
  components: { parameters: Record<string, Parameter>; schemas: Record<string, Schema> }
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const
const MAX_ITEMS = 3

const contract = parseYaml(readFileSync('openapi.yaml', 'utf8')) as Contract

/** Every `code` of a problem with the status that it comes with. */
export const problems: ReadonlyMap<string, number> = new Map(
  contract['x-problems'].map(({ code, status }) => [code, status]),
)

/** Every operation below a path. */
export function operationsBelow(root: string): Operation[] {
  return Object.entries(contract.paths)
    .filter(([path]) => path.startsWith(`${root}/`))
    .flatMap(([path, item]) =>
      METHODS.flatMap((method) => {
        const operation = item[method]
        return operation === undefined ? [] : [toOperation(method, path, operation, item.parameters)]
      }),
    )
}

function toOperation(
  method: string,
  path: string,
  { parameters = [], requestBody, responses }: RawOperation,
  shared: RawOperation['parameters'] = [],
): Operation {
  const content = requestBody?.content ?? {}
  return {
    name: `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase(),
    path,
    parameters: [...shared, ...parameters].map((parameter) =>
      '$ref' in parameter ? contract.components.parameters[nameOf(parameter.$ref)]! : parameter,
    ),
    body: Object.values(content)[0]?.schema,
    mediaTypes: Object.keys(content),
    statuses: Object.keys(responses).map(Number),
  }
}

/**
 * Values that no generator would hit upon: ids that exist, keys on their curve. By the name of their schema, of a
 * property (`property modulus_length`), or of a path parameter (`acc`, or in one list `acc in administrators`).
 */
export type Known = Readonly<Record<string, fc.Arbitrary<unknown>>>

/** Values that a schema allows, as far as it can tell. */
export function valuesOf(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) {
    const name = nameOf(schema.$ref)
    return known[name] ?? valuesOf(contract.components.schemas[name]!, known)
  }
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const choices = schema.oneOf ?? schema.anyOf
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => valuesOf(choice, known)))
  const types = [schema.type ?? 'object'].flat()
  const plain = fc.oneof(...types.map((type) => valuesOfType(type, schema, known)))
  if (schema.example === undefined) return plain
  return fc.oneof({ weight: 4, arbitrary: plain }, { weight: 1, arbitrary: fc.constant(schema.example) })
}

function valuesOfType(type: string, schema: Schema, known: Known): fc.Arbitrary<unknown> {
  const { minimum = 0, maximum = 2 ** 31, minItems = 0, maxItems = MAX_ITEMS } = schema
  switch (type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.oneof(fc.integer({ min: minimum, max: maximum }), fc.constantFrom(minimum, maximum))
    case 'array':
      return fc.array(valuesOf(schema.items ?? {}, known), {
        minLength: minItems,
        maxLength: Math.min(maxItems, MAX_ITEMS),
      })
    case 'string':
      return textsOf(schema)
    case 'object':
      return objectsOf(schema, known)
    default:
      throw new Error(`openapi.yaml has a type that the generator does not know: ${type}`)
  }
}

function objectsOf({ properties = {}, required = [] }: Schema, known: Known): fc.Arbitrary<unknown> {
  const members = Object.entries(properties).map(
    ([name, schema]) => [name, known[`property ${name}`] ?? valuesOf(schema, known)] as const,
  )
  return fc.record(Object.fromEntries(members), { requiredKeys: required })
}

function textsOf({ format, pattern, minLength = 0, maxLength = 200 }: Schema): fc.Arbitrary<string> {
  if (format === 'date-time') return times
  if (format === 'email') return fc.emailAddress()
  if (format === 'uri') return fc.webUrl()
  // Patterns of Unicode properties are those of texts that people read.
  if (pattern === undefined || pattern.includes('\\p{')) {
    return formText
      .map((text) =>
        text
          .replaceAll(/[\p{Cc}\p{Cs}]/gu, '')
          .slice(0, maxLength)
          .toWellFormed(),
      )
      .map((text) => text.padEnd(minLength, 'x'))
  }
  return fc
    .stringMatching(new RegExp(pattern, 'u'), { maxLength: Math.min(maxLength, 200) })
    .map((text) => text.padEnd(minLength, 'x'))
}

const times = fc.oneof(
  fc
    .date({ min: new Date('1990-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
    .map((date) => date.toISOString()),
  fc.constantFrom(
    '2030-01-01T00:00:00Z',
    '2030-01-01T00:00:00.123456789+23:59',
    '9999-12-31T23:59:59-23:59',
    '0000-01-01T00:00:00Z',
    '2030-12-31T23:59:60Z',
    '2030-02-30T00:00:00Z',
  ),
)

/** One change to a JSON value, at a place that `at` picks; what an object lacks is added under an awkward name. */
export type JsonChange = { at: number; how: 'replace' | 'delete' | 'add'; name: string; value: unknown }
export const jsonChanges = (values: fc.Arbitrary<unknown>): fc.Arbitrary<JsonChange> =>
  fc.record({
    at: fc.nat(),
    how: fc.constantFrom('replace', 'replace', 'delete', 'add'),
    name: anyText,
    value: values,
  })

/** The value with the change made; the value itself is left as it is. */
export function changeJson(value: unknown, { at, how, name, value: replacement }: JsonChange): unknown {
  const places = placesIn(value)
  const place = places[at % places.length]!
  const copy: unknown = value === undefined ? undefined : structuredClone(value)
  if (place.length === 0) return how === 'add' ? addTo(copy, name, replacement) : replacement
  const parent = place.slice(0, -1).reduce<Any>((node, key) => node[key], copy as Any)
  const key = place.at(-1)!
  if (how === 'replace') parent[key] = replacement
  else if (how === 'add') parent[key] = addTo(parent[key], name, replacement)
  else if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete parent[key]
  return copy
}

// biome-ignore lint/suspicious/noExplicitAny: a JSON value of any shape is walked
type Any = any

function placesIn(value: unknown, place: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [place]
  return [place, ...Object.entries(value).flatMap(([key, inner]) => placesIn(inner, [...place, key]))]
}

function addTo(value: unknown, name: string, added: unknown): unknown {
  if (Array.isArray(value)) return [...value, added]
  if (typeof value === 'object' && value !== null) return { ...value, [name]: added }
  return [value, added]
}

function nameOf(reference: string): string {
  return reference.split('/').at(-1) ?? ''
}
