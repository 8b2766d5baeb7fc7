import type { TokenStatistics } from '../../directory/token-statistics.ts'
import { type Html, html } from '../html.ts'
import { table } from './table.ts'
import { count } from './time.ts'

/** Keys with a row of their own; what the others got is one row more. */
const MAX_ROWS = 5
/** In units of the drawing, which is stretched to its place. */
const DAY_WIDTH = 10
const GAP = 2
const HEIGHT = 36
/** One token among thousands must be seen all the same. */
const MIN_BAR = 1.5

type Series = Omit<TokenStatistics['keys'][number], 'id'> & { to: string | undefined }

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })

/**
 * How many tokens each key got on each day: a row of bars for each, labelled with its name and sum, all of one scale. So no
 * colour has to be told from another one. `keys` is the path of the account's keys.
 */
export function tokenChart(statistics: TokenStatistics, keys: string): Html {
  const { days, isComplete } = statistics
  const rows = toRows(statistics, keys)
  const most = Math.max(1, ...rows.flatMap(({ counts }) => counts.map((tokens) => tokens ?? 0)))
  return html`<figure class="chart">
  <div class="chart-rows">${rows.map((row) => drawRow(row, days, most))}</div>
  <div class="chart-days" aria-hidden="true"><span>${nameDay(days[0])}</span><span>today</span></div>
  <figcaption>Days are in UTC; all rows have one scale, and its highest bar is ${count(most, 'token')}.${!isComplete && ' Days that nobody counted are dotted: their records were gone before.'}</figcaption>
  <details class="more"><summary>The same as a table</summary>${drawTable(rows, days)}</details>
</figure>`
}

function toRows({ keys, days }: TokenStatistics, path: string): Series[] {
  const own = keys.length > MAX_ROWS + 1 ? keys.slice(0, MAX_ROWS) : keys
  const others = keys.slice(own.length)
  const rows: Series[] = own.map(({ id, ...key }) => ({ ...key, to: `${path}/${id}` }))
  if (others.length === 0) return rows
  const counts = days.map((_, index) => sum(others.map((key) => key.counts[index] ?? null)))
  const total = others.reduce((all, key) => all + key.total, 0)
  return [...rows, { name: count(others.length, 'other key'), counts, total, to: undefined }]
}

/** Null where nobody counted. */
function sum(counts: readonly (number | null)[]): number | null {
  return counts.includes(null) ? null : counts.reduce<number>((all, tokens) => all + (tokens ?? 0), 0)
}

function drawRow({ name, counts, total, to }: Series, days: readonly Date[], most: number): Html {
  const width = days.length * DAY_WIDTH
  return html`<div class="chart-row">
    <span class="clip">${to === undefined ? name : html`<a href="${to}">${name}</a>`}</span>
    <svg viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${describe({ name, counts, total }, days)}">
      <line class="chart-base" x1="0" x2="${width}" y1="${HEIGHT - 0.5}" y2="${HEIGHT - 0.5}"/>
      ${counts.map((tokens, index) => drawBar(tokens, index, { day: days[index], most }))}
    </svg>
    <span class="chart-total">${figure(total)}</span>
  </div>`
}

function drawBar(
  tokens: number | null,
  index: number,
  { day, most }: { day: Date | undefined; most: number },
): Html {
  const x = index * DAY_WIDTH + GAP / 2
  const width = DAY_WIDTH - GAP
  const title = html`<title>${nameDay(day)}: ${tokens === null ? 'not counted' : count(tokens, 'token')}</title>`
  if (tokens === null)
    return html`<line class="chart-unknown" x1="${x}" x2="${x + width}" y1="${HEIGHT - 4}" y2="${HEIGHT - 4}">${title}</line>`
  const height = tokens === 0 ? 0 : Math.max(MIN_BAR, round((tokens / most) * (HEIGHT - 2)))
  // The whole height takes the pointer, also over a low bar.
  return html`<g><rect class="chart-day" x="${index * DAY_WIDTH}" y="0" width="${DAY_WIDTH}" height="${HEIGHT}"/>${tokens > 0 && html`<rect class="chart-bar" x="${x}" y="${round(HEIGHT - 1 - height)}" width="${width}" height="${height}"/>`}${title}</g>`
}

/** What the bars show, for those who hear it. */
function describe({ name, counts, total }: Omit<Series, 'to'>, days: readonly Date[]): string {
  const most = Math.max(...counts.map((tokens) => tokens ?? 0))
  const at = days[counts.indexOf(most)]
  return `${name}: ${count(total, 'token')} in ${count(days.length, 'day')}, at most ${figure(most)} on ${nameDay(at)}`
}

function drawTable(rows: readonly Series[], days: readonly Date[]): Html {
  return table({
    label: 'Tokens by day and key',
    columns: [{ title: 'Day' }, ...rows.map(({ name }) => ({ title: name, kind: 'number' as const }))],
    rows: days
      .map((day, index) => [
        nameDay(day),
        ...rows.map(({ counts }) => {
          const tokens = counts[index]
          return tokens === null || tokens === undefined ? 'not counted' : figure(tokens)
        }),
      ])
      .reverse(),
  })
}

function nameDay(day: Date | undefined): string {
  return day === undefined ? '' : DAY.format(day)
}

function figure(number: number): string {
  return number.toLocaleString('en-GB')
}

function round(number: number): number {
  return Math.round(number * 10) / 10
}
