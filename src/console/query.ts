/** What somebody looks for is short. */
const MAX_LENGTH = 100
/** PostgreSQL takes no NUL, and no name holds control characters. */
const CONTROL = /\p{Cc}/gu

/** A parameter of the address, trimmed and cut; undefined when absent or empty. The address is anybody's to write. */
export function readQuery(query: URLSearchParams, name: string, maxLength = MAX_LENGTH): string | undefined {
  const text = (query.get(name) ?? '').replaceAll(CONTROL, '').trim().slice(0, maxLength)
  return text === '' ? undefined : text.toWellFormed()
}
