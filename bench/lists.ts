import { firstIdOf } from '../src/ids.ts'
import type { Countersign } from './countersign.ts'
import { connectToDatabase } from './footprint.ts'
import { median } from './measure.ts'

/** What administrators wait for: milliseconds of a whole request of the management API. */
export type ListTiming = { list: string; median: number; slowest: number }

const TIMES = 10
const PAGE = 50

/** Lists, pages and searches accounts and the audit trail of the one large organization, each ten times in turn. */
export async function timeLists(countersign: Countersign, now: number): Promise<ListTiming[]> {
  const organization = await findOrganization(countersign)
  const half = now - (365 * 86_400_000) / 2
  const cursorOf = (prefix: 'acc' | 'evt' | 'tok') =>
    Buffer.from(firstIdOf(prefix, half)).toString('base64url')
  const accounts = `/organizations/${organization}/service-accounts?limit=${PAGE}`
  const trail = `/organizations/${organization}/audit-events?limit=${PAGE}`
  const target = (await countersign.api('GET', `${accounts}&cursor=${cursorOf('acc')}`)).items[0]?.id
  const lists: [string, string][] = [
    ['accounts, first page', accounts],
    ['accounts, a page from the middle', `${accounts}&cursor=${cursorOf('acc')}`],
    ['accounts, a search that finds many', `${accounts}&search=payroll`],
    ['accounts, a search that finds none', `${accounts}&search=nobody-is-called-so`],
    ['accounts that were not used for 90 days', `${accounts}&unused_for_days=90`],
    ['accounts with keys that expire', `${accounts}&keys_expiring_within_days=30`],
    ['trail, first page, without tokens', `${trail}&include_tokens=false`],
    ['trail, of one target', `${trail}&include_tokens=false&target=${target}`],
    [
      'trail, of one action in the middle',
      `${trail}&action=service_account.created&to=${new Date(half).toISOString()}`,
    ],
    ['trail, first page, with tokens', trail],
  ]
  const timings: ListTiming[] = []
  for (const [list, path] of lists) {
    const times: number[] = []
    for (let time = 0; time <= TIMES; time++) {
      const startedAt = performance.now()
      await ask(countersign, path)
      // The first one warms up.
      if (time > 0) times.push(performance.now() - startedAt)
    }
    timings.push({ list, median: median(times), slowest: Math.max(...times) })
  }
  return timings
}

/** One that takes too long is refused: that is as long as it took, and is told on the screen. */
async function ask(countersign: Countersign, path: string): Promise<void> {
  await countersign.api('GET', path).catch((error: unknown) => console.error(`${path}: ${error}`))
}

async function findOrganization(countersign: Countersign): Promise<string> {
  const database = await connectToDatabase(countersign)
  const { rows } = await database.query("select id from organizations where slug = 'bench'")
  await database.end()
  return rows[0].id
}
