import { randomInt } from 'node:crypto'
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { OperatorError } from '../errors.ts'
import { discardRest, LARGEST_BODY_BYTES, MAX_DISCARDED_BYTES } from './bytes.ts'

/**
 * How long a caller may take to send headers and a whole request of ours, 128 KB at most, and how often that is
 * looked at. Node's own five minutes would let few callers hold many connections and half-read bodies.
 */
const LIMITS = {
  headersTimeout: 25_000,
  requestTimeout: 25_000,
  connectionsCheckingInterval: 2_000,
  // Proxies keep a connection for a minute. It must be they who close it: one that we close as a request comes in
  // loses that request.
  keepAliveTimeout: 65_000,
}
/**
 * A connection that brings no whole headers at first is let go after so long, by chance up to as much later. Thousands that
 * came at one time would all end at one time, and whoever comes then would wait behind them.
 */
const SILENCE_MILLISECONDS = 12_000
/**
 * An answer of which a caller takes nothing for so long is not kept for it. Nothing that we do takes longer, and a request that
 * takes too long hears 408 before.
 */
const STALL_MILLISECONDS = 30_000
/** How long requests under way may take to finish once the server is told to stop. */
const DRAIN_MILLISECONDS = 10_000
/** How soon a kept-alive connection is closed once its last request is answered. */
const SWEEP_MILLISECONDS = 50

export type Listener = {
  /** The port that is in fact listened on. */
  port: number
  /** Takes no new connections, lets requests under way finish, and resolves when the last is answered. */
  drain(): Promise<void>
}

/** Listens for HTTP. Throws OperatorError when the address cannot be had. */
export async function listen(
  app: RequestListener,
  address: { host: string; port: number },
): Promise<Listener> {
  const server = createHttpServer(app, LIMITS).setTimeout(STALL_MILLISECONDS)
  await bind(server, address)
  const { port } = server.address() as AddressInfo
  return { port, drain: () => drain(server) }
}

/**
 * A server that gives every request that it can read to the application. Node would answer an `Expect` other than
 * 100-continue by itself, without a request id and unseen by log and metrics; RFC 9110 §10.1.1 lets a server
 * overlook it.
 */
export function createHttpServer(app: RequestListener, options: ServerOptions): Server {
  const silent = new Map<Socket, NodeJS.Timeout>()
  const handle: RequestListener = (req, res) => {
    letStay(req.socket)
    boundBody(req, res)
    app(req, res)
  }
  return createServer(options, handle)
    .on('checkExpectation', handle)
    .on('connection', (socket: Socket) => {
      // By the tenth of a second: Node.js keeps a list of timers for every duration.
      const patience = SILENCE_MILLISECONDS + 100 * randomInt(SILENCE_MILLISECONDS / 100)
      const timer = setTimeout(() => socket.destroy(), patience)
      silent.set(socket, timer)
      socket.once('close', () => letStay(socket))
    })

  function letStay(socket: Socket): void {
    clearTimeout(silent.get(socket))
    silent.delete(socket)
  }
}

/** Node.js reads the rest of a body once its request is answered, however long it is. */
const boundBody: RequestListener = (req, res) => {
  const isChunked = req.headers['transfer-encoding'] !== undefined
  const bytes = Number(req.headers['content-length'] ?? 0)
  if (!isChunked && bytes <= LARGEST_BODY_BYTES) return
  if (bytes > MAX_DISCARDED_BYTES) res.setHeader('Connection', 'close')
  // Ahead of Node.js' own listener.
  res.prependOnceListener('finish', () => {
    if (!req.complete) discardRest(req)
  })
}

function bind(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new OperatorError(explain(error, host, port), { cause: error }))
    })
    server.listen(port, host, resolve)
  })
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} is in use by another program. Choose another with --port or COUNTERSIGN_PORT.`
    case 'EACCES':
      return `Port ${port} needs more rights than this user has. Choose one above 1023 with --port or COUNTERSIGN_PORT.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `The address ${host} is not one of this machine. Set COUNTERSIGN_HOST to one that is.`
    default:
      return `Cannot listen on ${host} port ${port}: ${error.message}`
  }
}

function drain(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const impatience = setTimeout(() => server.closeAllConnections(), DRAIN_MILLISECONDS)
    // Node closes those that are idle now, and would let each of the others wait for a further request.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MILLISECONDS)
    server.close(() => {
      clearTimeout(impatience)
      clearInterval(sweep)
      resolve()
    })
  })
}
