import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { load } from 'js-yaml'
import { OperatorError } from '../errors.ts'

/** The top folder of the package, seen from `src/http` and, once built, from `dist/src/http`. */
const PACKAGE_FOLDERS = ['../../', '../../../']

/**
 * Where `openapi.yaml` lies, the contract of every endpoint.
 * Throws OperatorError when the installation lacks it.
 */
export function contractPath(): string {
  const path = PACKAGE_FOLDERS.map((folder) =>
    fileURLToPath(new URL(`${folder}openapi.yaml`, import.meta.url)),
  ).find((candidate) => existsSync(candidate))
  if (path === undefined) throw new OperatorError('openapi.yaml is missing: install Countersign again.')
  return path
}

/** A part of openapi.yaml, as what validates by it takes it. */
export type Contract = { [member: string]: unknown; paths: Record<string, unknown> }

/** What is said to people; validating does not need it, and compiling goes through all of it again and again. */
const PROSE = new Set(['description', 'summary', 'title', 'example', 'examples', 'tags', 'externalDocs'])
/** Their members have names of their own, some of which are those of prose. */
const MAPS = new Set([
  ...['properties', 'schemas', 'responses', 'parameters', 'headers', 'requestBodies', 'securitySchemes'],
  ...['paths', 'content', 'mapping'],
])
/** Values that are compared with, whatever they look like. */
const LITERALS = new Set(['enum', 'const', 'default'])

let whole: Record<string, unknown> | undefined

/** The paths of openapi.yaml that begin so, and what they refer to, without what is said to people only. */
export function readContract(pathPrefix: string): Contract {
  whole ??= withoutProse(load(readFileSync(contractPath(), 'utf8')), false) as Record<string, unknown>
  const paths = Object.fromEntries(
    Object.entries(whole.paths as object).filter(([path]) => path.startsWith(pathPrefix)),
  )
  return structuredClone({ ...whole, paths, components: referredFrom(paths, whole) })
}

function withoutProse(value: unknown, isMap: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutProse(item, false))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => isMap || !PROSE.has(name))
      .map(([name, member]) => [
        name,
        !isMap && LITERALS.has(name) ? member : withoutProse(member, !isMap && MAPS.has(name)),
      ]),
  )
}

/** The components that something refers to, directly or through others; security schemes are referred to by name. */
function referredFrom(start: unknown, document: Record<string, unknown>): Record<string, unknown> {
  const components = document.components as Record<string, Record<string, unknown>>
  const found: Record<string, Record<string, unknown>> = { securitySchemes: components.securitySchemes ?? {} }
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const member of Object.values(value)) {
      if (typeof member === 'string') visitReference(member)
      else visit(member)
    }
  }
  const visitReference = (text: string): void => {
    const [, kind, name] = /^#\/components\/(\w+)\/([\w.-]+)$/.exec(text) ?? []
    const component = kind === undefined || name === undefined ? undefined : components[kind]?.[name]
    if (kind === undefined || name === undefined || component === undefined) return
    found[kind] ??= {}
    if (name in found[kind]) return
    found[kind][name] = component
    visit(component)
  }
  visit(start)
  return found
}
