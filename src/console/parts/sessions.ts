import type { SessionRow } from '../../database/tables.ts'
import { type Html, html } from '../html.ts'
import type { SessionVisit } from '../visit.ts'
import { form, submit } from './form.ts'
import { badge } from './state.ts'
import { table } from './table.ts'
import { time } from './time.ts'

/**
 * Sessions of one person. `endAt` is where the button below «End» leads, undefined for one that has none.
 */
export function sessionsTable(
  { now, session, formToken }: SessionVisit,
  items: readonly SessionRow[],
  endAt: (sessionId: string) => string | undefined,
): Html {
  return table({
    label: 'Sessions',
    columns: [
      { title: 'Browser' },
      { title: 'Address' },
      { title: 'Began' },
      { title: 'Last use' },
      { title: 'End', kind: 'action' },
    ],
    rows: items.map(({ id, userAgent, ip, createdAt, lastSeenAt, awaitsSecondFactor }) => {
      const action = endAt(id)
      return [
        html`<span class="clip" title="${userAgent ?? ''}">${nameBrowser(userAgent)}</span>${id === session.record.id && html` ${badge('good', 'this one')}`}${awaitsSecondFactor && html` ${badge('notice', 'code missing')}`}`,
        html`<code>${ip ?? 'unknown'}</code>`,
        time(createdAt, now),
        time(lastSeenAt, now),
        action !== undefined && form({ action, formToken, isInline: true, content: submit('End', 'plain') }),
      ]
    }),
  })
}

const BROWSERS = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\//, 'Firefox'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari'],
] as const
const SYSTEMS = [
  [/iPhone|iPad/, 'iOS'],
  [/Android/, 'Android'],
  [/Mac OS X/, 'macOS'],
  [/Windows/, 'Windows'],
  [/Linux/, 'Linux'],
] as const

/** Enough to tell one's own sessions apart; the whole text is on hover. */
function nameBrowser(userAgent: string | null): string {
  const find = (list: readonly (readonly [RegExp, string])[]) =>
    list.find(([pattern]) => pattern.test(userAgent ?? ''))?.[1]
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)]
  if (browser === undefined) return (userAgent ?? 'Unknown').slice(0, 40)
  return system === undefined ? browser : `${browser} on ${system}`
}
