import type { Listing, PageRequest } from '../../directory/pages.ts'
import { type Html, html, NOTHING } from '../html.ts'
import { readQuery } from '../query.ts'
import type { Visit } from '../visit.ts'

/** Rows of one page. */
export const PAGE_SIZE = 50

/** As many as a list gives at a time. */
const BATCH = 200

/** The page that the address asks for. */
export function pageOf({ query }: Visit): PageRequest {
  return { limit: PAGE_SIZE, cursor: readQuery(query, 'cursor') }
}

/** A whole list that people make by hand, such as that of roles, for a form that offers all of it. */
export async function readAll<Item>(list: (request: PageRequest) => Promise<Listing<Item>>): Promise<Item[]> {
  const all: Item[] = []
  let cursor: string | undefined
  do {
    const { items, nextCursor } = await list({ limit: BATCH, cursor })
    all.push(...items)
    cursor = nextCursor ?? undefined
  } while (cursor !== undefined)
  return all
}

/** Where the list goes on, keeping its filters; nothing where it has one page. */
export function paging({ path, query }: Visit, nextCursor: string | null): Html {
  const isFirst = !query.has('cursor')
  if (isFirst && nextCursor === null) return NOTHING
  return html`<nav class="paging" aria-label="Pages">
  ${!isFirst && html`<a class="button plain" href="${withCursor(path, query, null)}">First page</a>`}
  ${nextCursor !== null && html`<a class="button plain" rel="next" href="${withCursor(path, query, nextCursor)}">Next page</a>`}
</nav>`
}

function withCursor(path: string, query: URLSearchParams, cursor: string | null): string {
  const next = new URLSearchParams(query)
  if (cursor === null) next.delete('cursor')
  else next.set('cursor', cursor)
  return next.size === 0 ? path : `${path}?${next}`
}
