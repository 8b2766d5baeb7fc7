import type { Request } from 'express'
import { Refusal } from '../errors.ts'

/**
 * Whether another site has led the browser here. It then keeps Strict cookies back, so that nobody seems to be signed
 * in; a step from a page of ours brings them (Fetch Metadata §2.2). Browsers that do not say so are taken at
 * their cookies.
 */
export function comesFromElsewhere(req: Request): boolean {
  return req.method === 'GET' && req.get('sec-fetch-site') === 'cross-site'
}

/**
 * Where somebody goes on who had to sign in first: a page of ours, and nothing else whatever the address says.
 * `root` is the console's path.
 */
export function safeNext(root: string, next: string | undefined): string {
  const home = `${root}/`
  if (next === undefined || !URL.canParse(next, 'http://here.invalid')) return home
  const { origin, pathname, search } = new URL(next, 'http://here.invalid')
  return origin === 'http://here.invalid' && pathname.startsWith(home) ? pathname + search : home
}

const ID = /^[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{36}$/
const SLUG = /^[a-z0-9-]{1,100}$/

/**
 * What has not the form of an id or a slug names nothing, and is answered like one that was never given out. So
 * nothing strange in a path ever reaches the database. Throws Refusal `resource_not_found`.
 */
export function requireNames(params: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(params)) {
    const form = name === 'org' ? SLUG : ID
    if (!form.test(value)) throw new Refusal('resource_not_found', { name, value: value.slice(0, 100) })
  }
}
