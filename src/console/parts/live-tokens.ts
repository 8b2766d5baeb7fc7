import type { LiveToken, LiveTokenCount } from '../../database/queries/grant-records.ts'
import type { LiveTokens } from '../../database/queries/live-tokens.ts'
import type { Listing } from '../../directory/pages.ts'
import { count } from './time.ts'

/** Such as `3 live tokens`; `at least 41000 live tokens` where there are more than were looked at. Pure. */
export function liveTokens({ tokens, isMore }: LiveTokens, what = 'live token'): string {
  return isMore ? `at least ${count(tokens, what)}` : count(tokens, what)
}

/** Such as `3 live tokens from 2 addresses`. Pure. */
export function tokensFrom({ tokens, addresses }: Pick<LiveTokenCount, 'tokens' | 'addresses'>): string {
  return `${count(tokens, 'live token')} from ${count(addresses, 'address', 'addresses')}`
}

/** What becomes of the tokens of an account or a key that ends, in a sentence. Pure. */
export function ownTokensStop(live: LiveTokenCount): string {
  if (live.tokens === 0) return 'It has no live tokens now.'
  return `${tokensFrom(live)} ${live.tokens === 1 ? 'stops' : 'stop'} working now.`
}

/** The same from one page of an account's tokens: counting all of one at work would take long. Pure. */
export function liveTokensOn({ items, nextCursor }: Listing<LiveToken>): string {
  if (nextCursor !== null) return `more than ${count(items.length, 'live token')}`
  const addresses = new Set(items.map(({ clientIp }) => clientIp)).size
  return items.length === 0 ? 'no live tokens' : tokensFrom({ tokens: items.length, addresses })
}

/** What becomes of them, in a sentence; `none` where there are none. Pure. */
export function stopsNow(live: LiveTokens, none: string): string {
  if (live.tokens === 0 && !live.isMore) return none
  const text = `${liveTokens(live)} ${live.tokens === 1 ? 'stops' : 'stop'} working now.`
  return text.charAt(0).toUpperCase() + text.slice(1)
}
