import type { Content } from '../html.ts'
import { html } from '../html.ts'
import { may, type OrganizationVisit } from '../visit.ts'

/**
 * The line among the facts of an object that leads to what the trail says of it; none for who may not read the trail.
 * `isPerson` for who also does things.
 */
export function trailFact(
  visit: OrganizationVisit,
  id: string,
  options: { isPerson?: boolean } = {},
): (readonly [name: string, value: Content])[] {
  if (!may(visit, 'audit:read')) return []
  const link = (filter: 'actor' | 'target', words: string) =>
    html`<a href="${visit.home}/audit?${filter}=${id}">${words}</a>`
  if (options.isPerson !== true) return [['Audit trail', link('target', 'what was done to it')]]
  return [
    ['Audit trail', html`${link('actor', 'what they did')}, ${link('target', 'what was done to them')}`],
  ]
}
