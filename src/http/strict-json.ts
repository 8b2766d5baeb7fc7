import { type InputFault, Refusal } from '../errors.ts'

/** A body with more faults than this is not worth a longer answer. */
const MAX_FAULTS = 20

/**
 * Parses a JSON text in UTF-8, stricter than JSON.parse: no byte-order mark, no name twice in one object (RFC 8259 §4
 * leaves open which one counts, and proxies may take another one than we do), and no name written with an escape. None
 * of ours needs one, and Node.js 24 and 26 may take it for another name that anybody has sent before
 * (nodejs/node#63785).
 * Throws Refusal `request_malformed`.
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  let text: string
  let value: unknown
  try {
    text = UTF8.decode(bytes)
    value = JSON.parse(text)
  } catch {
    throw malformed('The body is not JSON in UTF-8.')
  }
  assertPlainNames(text)
  return value
}

/**
 * Refuses text that PostgreSQL cannot store: U+0000 and lone surrogates, in values and names alike.
 * Throws Refusal `input_invalid` that points at each.
 */
export function assertStorableText(root: unknown): void {
  const faults: InputFault[] = []
  // A list of what is still to be seen, not recursion: the nesting is the sender's to choose.
  const pending: { pointer: string; value: unknown }[] = [{ pointer: '', value: root }]
  for (let next = pending.pop(); next !== undefined && faults.length < MAX_FAULTS; next = pending.pop()) {
    const { pointer, value } = next
    if (typeof value === 'string' && !isStorable(value)) {
      faults.push({ pointer, detail: 'must not hold U+0000 or a lone surrogate' })
    }
    if (typeof value !== 'object' || value === null) continue
    for (const [name, member] of Object.entries(value)) {
      if (isStorable(name)) pending.push({ pointer: `${pointer}/${escapePointer(name)}`, value: member })
      else faults.push({ pointer, detail: 'has a member whose name holds U+0000 or a lone surrogate' })
    }
  }
  if (faults.length > 0) throw new Refusal('input_invalid', { faults }, { faults })
}

/** RFC 6901 §3. */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000')
}

/** The text is known to be valid JSON, so a string before a colon is a name of the innermost object. */
function assertPlainNames(text: string): void {
  const objects: (Set<string> | undefined)[] = []
  let latest = ''
  for (let position = 0; position < text.length; position++) {
    switch (text[position]) {
      case '"': {
        const end = endOfString(text, position)
        latest = text.slice(position + 1, end)
        position = end
        break
      }
      case ':': {
        const names = objects.at(-1)
        if (latest.includes('\\'))
          throw malformed('The name of a member of the body is written with an escape.')
        if (names?.has(latest)) throw malformed('A member of the body is given more than once.')
        names?.add(latest)
        break
      }
      case '{':
        objects.push(new Set())
        break
      case '[':
        objects.push(undefined)
        break
      case '}':
      case ']':
        objects.pop()
        break
    }
  }
}

function endOfString(text: string, start: number): number {
  let position = start + 1
  while (text[position] !== '"') position += text[position] === '\\' ? 2 : 1
  return position
}

function malformed(hint: string): Refusal {
  return new Refusal('request_malformed', { fact: hint }, { hint })
}
