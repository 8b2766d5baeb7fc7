import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
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
