/** What `countersign doctor` says of one thing: what it found, and what is to be done unless that is well. */
export type Check = { name: string; found: string } & (
  | { verdict: 'ok' }
  | { verdict: 'warning' | 'failed'; advice: string }
)

/** All is well. */
export function ok(name: string, found: string): Check {
  return { name, verdict: 'ok', found }
}

/** It works, and should not stay so. */
export function warning(name: string, found: string, advice: string): Check {
  return { name, verdict: 'warning', found, advice }
}

/** It does not work, or is not safe. */
export function failed(name: string, found: string, advice: string): Check {
  return { name, verdict: 'failed', found, advice }
}

/** `1 key`, `2 keys`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
