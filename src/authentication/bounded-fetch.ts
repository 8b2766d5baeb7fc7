import type { CustomFetch } from 'openid-client'

/**
 * What a provider says of itself, its keys and somebody who signs in are some kilobytes. A tenant's administrator
 * chooses whom we ask, so without a bound one answer could take the memory of all.
 */
const MAX_OCTETS = 1_048_576

/** Like `fetch`, but rejects when the answer has more than 1 MiB, once inflated. */
export const fetchBounded: CustomFetch = async (url, options) => {
  const response = await fetch(url, options as RequestInit)
  const { status, statusText, headers, body } = response
  return new Response(body && (await readBounded(body)), { status, statusText, headers })
}

/** To leave the loop lets go of the connection. */
async function readBounded(body: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let octets = 0
  for await (const chunk of body) {
    octets += chunk.length
    if (octets > MAX_OCTETS) throw new Error(`the answer has more than ${MAX_OCTETS} octets`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
