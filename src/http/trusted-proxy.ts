import type { IncomingMessage } from 'node:http'
import express from 'express'

/** Which proxies are believed, and what they say. */
export type TrustedProxies = {
  /** Whether a request came straight from one of them, so that its headers are believed. */
  sent(req: IncomingMessage): boolean
  /** Where a request came from, by the address that the last of them passes on in `X-Forwarded-For`; unchecked. */
  addressOf(req: IncomingMessage): string
}

type Trust = (address: string | undefined, hop: number) => boolean

/** The proxies of these addresses and networks, which Express reads as for its `trust proxy`. */
export function createTrustedProxies(networks: readonly string[]): TrustedProxies {
  const isTrusted: Trust = express()
    .set('trust proxy', [...networks])
    .get('trust proxy fn')

  return {
    sent: ({ socket }) => isTrusted(socket.remoteAddress, 0),
    addressOf({ socket, headers }) {
      let address = socket.remoteAddress ?? ''
      const passedOn = headers['x-forwarded-for']
      if (typeof passedOn !== 'string') return address
      const before = passedOn
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
      for (let hop = 0; isTrusted(address, hop); hop++) {
        const next = before.pop()
        if (next === undefined) break
        address = next
      }
      return address
    },
  }
}
