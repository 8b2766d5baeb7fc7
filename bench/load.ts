import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export type Load = {
  port: number
  /** Complete HTTP/1.1 requests; each is sent once, in order, by whichever connection is free. */
  requests: readonly Buffer[]
  connections: number
  /** What every answer must hold, besides the status 200. */
  expected: string
}

type LoadResult = {
  seconds: number
  /** Milliseconds from the first byte sent to the last received, by request. */
  latencies: Float64Array
}

const JWT_BEARER = encodeURIComponent('urn:ietf:params:oauth:grant-type:jwt-bearer')
const HEADER_END = Buffer.from('\r\n\r\n')
const CONTENT_LENGTH = /\r\ncontent-length: (\d+)/i

/**
 * Sends prepared requests over keep-alive connections and waits for every answer. Written on bare sockets because it shares the
 * machine with what it measures: general clients cost more per request than some of the servers do.
 * Throws at the first answer that is not what it should be: a figure with refusals in it measures nothing.
 */
export async function applyLoad({ port, requests, connections, expected }: Load): Promise<LoadResult> {
  const latencies = new Float64Array(requests.length)
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  let next = 0
  const startedAt = process.hrtime.bigint()
  try {
    await Promise.all(sockets.map(work))
  } finally {
    for (const socket of sockets) socket.destroy()
  }
  return { seconds: Number(process.hrtime.bigint() - startedAt) / 1e9, latencies }

  function work(socket: Socket): Promise<void> {
    return new Promise((resolve, reject) => {
      let index = -1
      let sentAt = 0
      let received: Buffer | undefined
      const send = () => {
        index = next++
        const request = requests[index]
        if (request === undefined) return resolve()
        sentAt = performance.now()
        socket.write(request)
      }
      socket.on('data', (chunk: Buffer) => {
        received = received === undefined ? chunk : Buffer.concat([received, chunk])
        if (!isComplete(received)) return
        latencies[index] = performance.now() - sentAt
        const answer = received.toString('latin1')
        received = undefined
        if (answer.startsWith('HTTP/1.1 200') && answer.includes(expected)) send()
        else reject(new Error(`an answer without ${expected}: ${answer.slice(0, 1000)}`))
      })
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('the server closed a connection')))
      send()
    })
  }
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** All the servers compared here say how long their answers are. */
export function isComplete(received: Buffer): boolean {
  const end = received.indexOf(HEADER_END)
  if (end === -1) return false
  const length = CONTENT_LENGTH.exec(received.toString('latin1', 0, end))?.[1]
  if (length === undefined) throw new Error('an answer without Content-Length')
  return received.length >= end + HEADER_END.length + Number(length)
}

/** A request for a token by the JWT bearer grant. */
export function tokenRequest(assertion: string, headers?: Record<string, string>): Buffer {
  return formRequest('/oauth/token', grantForm(assertion), headers)
}

/** The form of the JWT bearer grant. */
export function grantForm(assertion: string): string {
  return `grant_type=${JWT_BEARER}&assertion=${assertion}`
}

/** A form request as the bytes that go over the wire. */
export function formRequest(path: string, form: string, headers: Record<string, string> = {}): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
      `Content-Length: ${Buffer.byteLength(form)}\r\n${lines.join('')}\r\n${form}`,
  )
}
