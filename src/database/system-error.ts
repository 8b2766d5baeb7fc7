/**
 * The code of anything thrown (`ENOENT`, an SQLSTATE), undefined when it has none. By shape, not by class:
 * inside Jest the errors of Node's own modules are of another realm, and so no instances of `Error`.
 */
export function codeOf(thrown: unknown): string | undefined {
  const isObject = typeof thrown === 'object' && thrown !== null
  return isObject && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
}

/** The message of anything thrown; a file system error names its path in it. */
export function messageOf(thrown: unknown): string {
  const isObject = typeof thrown === 'object' && thrown !== null
  return isObject && 'message' in thrown ? String(thrown.message) : String(thrown)
}
