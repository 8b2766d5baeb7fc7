import { connect, type Socket } from 'node:net'
import { isComplete } from './load.ts'

/** A caller that goes on when an answer is not what it should be; `applyLoad` stops there. */
export type Client = {
  /**
   * Sends a complete HTTP/1.1 request when a connection is free, in turn, and resolves to the whole answer, headers and
   * all. Rejects when the connection breaks; the next request gets a new one.
   */
  send(request: Buffer): Promise<string>
  close(): void
}

type Job = { request: Buffer; resolve: (answer: string) => void; reject: (error: Error) => void }

/** At most `connections` kept-alive connections to this machine's `port`. */
export function createClient(port: number, connections: number): Client {
  const idle: Socket[] = []
  const working = new Map<Socket, { job: Job; received: Buffer | undefined }>()
  const waiting: Job[] = []
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        waiting.push({ request, resolve, reject })
        proceed()
      }),
    close() {
      for (const socket of [...idle, ...working.keys()]) socket.destroy()
    },
  }

  function proceed(): void {
    while (waiting.length > 0) {
      const socket = idle.pop() ?? (working.size < connections ? open() : undefined)
      if (socket === undefined) return
      const job = waiting.shift() as Job
      working.set(socket, { job, received: undefined })
      socket.write(job.request)
    }
  }

  function open(): Socket {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => receive(socket, chunk))
    socket.once('close', () => {
      const broken = working.get(socket)
      working.delete(socket)
      if (idle.includes(socket)) idle.splice(idle.indexOf(socket), 1)
      broken?.job.reject(new Error('the connection broke'))
      proceed()
    })
    return socket
  }

  function receive(socket: Socket, chunk: Buffer): void {
    const work = working.get(socket)
    if (work === undefined) return void socket.destroy()
    work.received = work.received === undefined ? chunk : Buffer.concat([work.received, chunk])
    if (!isComplete(work.received)) return
    working.delete(socket)
    idle.push(socket)
    work.job.resolve(work.received.toString('latin1'))
    proceed()
  }
}
