import { isIPv6 } from 'node:net'

/**
 * The network that an address is counted with when somebody guesses: itself, or its /64 in IPv6, of which whoever
 * has one address has all. One text for all spellings of it. Pure.
 */
export function networkOf(ip: string): string {
  if (!isIPv6(ip)) return ip
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1]
  return mapped ?? expand(ip).slice(0, 4).join(':')
}

/** The eight groups of an IPv6 address (RFC 4291 §2.2). */
function expand(ip: string): string[] {
  const [head = '', tail] = (ip.split('%')[0] ?? '').toLowerCase().split('::')
  const groupsOf = (text: string) => (text === '' ? [] : text.split(':'))
  const first = groupsOf(head)
  const last = tail === undefined ? [] : groupsOf(tail)
  const zeros = new Array(Math.max(0, 8 - first.length - last.length)).fill('0')
  return [...first, ...(tail === undefined ? [] : zeros), ...last].map((group) =>
    group.replace(/^0+(?=.)/, ''),
  )
}
