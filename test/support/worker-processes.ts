import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { Agent, request } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'

/** One connection to a server, kept alive, and the process at its other end. */
export type Connection = {
  /** The worker that has accepted it. */
  pid: number
  post(
    path: string,
    form: Record<string, string>,
    headers?: Record<string, string>,
  ): Promise<ConnectionAnswer>
  get(path: string): Promise<ConnectionAnswer>
  close(): void
}

// biome-ignore lint/suspicious/noExplicitAny: the shape is the answer's own
export type ConnectionAnswer = { status: number; body: any }

/** An idle server may well give one worker nine connections of ten. */
const ATTEMPTS = 200

/** The worker processes of a server that runs. */
export function workersOf(primary: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && parentOf(pid) === primary && commandLineOf(pid).at(-1) === 'worker')
}

/** Whether a process runs, other than as the remains that wait for its parent. */
export function isRunning(pid: number): boolean {
  const state = statOf(pid)?.[0]
  return state !== undefined && state !== 'Z'
}

/** A connection to each of these workers, which share a port: whoever opens one cannot choose, so it tries. */
export async function connectToEach(url: string, workers: readonly number[]): Promise<Connection[]> {
  const found = new Map<number, Connection>()
  for (let attempt = 0; attempt < ATTEMPTS && found.size < workers.length; attempt++) {
    const connection = await connect(url, workers)
    if (found.has(connection.pid)) connection.close()
    else found.set(connection.pid, connection)
  }
  return workers.map((pid) => {
    const connection = found.get(pid)
    if (connection === undefined) throw new Error(`worker ${pid} accepts no connection`)
    return connection
  })
}

async function connect(url: string, workers: readonly number[]): Promise<Connection> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let socket: Socket | undefined
  const send = (method: string, path: string, headers: Record<string, string>, body?: string) =>
    new Promise<ConnectionAnswer>((resolve, reject) => {
      const asked = request(url + path, { agent, method, headers }, async (response) => {
        const answer = await text(response)
        resolve({ status: response.statusCode ?? 0, body: answer === '' ? undefined : JSON.parse(answer) })
      })
      asked.once('socket', (used) => {
        socket = used
      })
      asked.once('error', reject)
      asked.end(body)
    })
  await send('GET', '/health/live', {})
  return {
    pid: ownerOf(socket as Socket, workers),
    post: (path, form, headers = {}) =>
      send(
        'POST',
        path,
        { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        new URLSearchParams(form).toString(),
      ),
    get: (path) => send('GET', path, {}),
    close: () => agent.destroy(),
  }
}

/** The process that holds the other end of a connection over IPv4, by the kernel's own tables. */
function ownerOf({ localPort, remotePort }: Socket, workers: readonly number[]): number {
  const hex = (port = 0) => port.toString(16).toUpperCase().padStart(4, '0')
  const ends = new RegExp(`: [0-9A-F]{8}:${hex(remotePort)} [0-9A-F]{8}:${hex(localPort)} `)
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .find((each) => ends.test(each))
  const inode = line?.trim().split(/\s+/)[9]
  const owner = workers.find((pid) => filesOf(pid).includes(`socket:[${inode}]`))
  if (owner === undefined) throw new Error('none of the workers has the connection')
  return owner
}

function filesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`)
    } catch {
      return ''
    }
  })
}

function parentOf(pid: number): number {
  return Number(statOf(pid)?.[1])
}

/** From the third field (state) on; the second holds the name, which may hold spaces. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

function commandLineOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  } catch {
    return []
  }
}
