import { request } from 'node:http'
import { type Answer, type TestServer, toAnswer } from './server.ts'

export type RawRequest = {
  method?: string
  path?: string
  /** What stands in the request line in place of the path (RFC 9112 §3.2.2). */
  target?: string
  headers?: Record<string, string | readonly string[]>
  body?: string | Uint8Array
  /** Sends the body without a Content-Length. */
  chunked?: boolean
}

/** Where to send it: over TCP, or to a server that listens on a socket in a folder. */
export type RawTarget = Pick<TestServer, 'url'> & { socketPath?: string }

/**
 * A request to the token endpoint that `fetch` would not send: a GET with a body, an encoded body, a header
 * given twice. No media type unless given. The answer may come before the body is sent whole.
 */
export function sendRaw(server: RawTarget, options: RawRequest): Promise<Answer> {
  const { method = 'POST', path = '/oauth/token', headers = {}, body = '', chunked = false } = options
  return new Promise((resolve, reject) => {
    const call = request(
      server.url + path,
      {
        method,
        agent: false,
        ...(server.socketPath !== undefined && { socketPath: server.socketPath }),
        ...(options.target !== undefined && { path: options.target }),
        headers: {
          ...(chunked ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
          ...(headers as Record<string, string | string[]>),
        },
      },
      async (response) => {
        const answer = new Headers()
        for (const [name, values] of Object.entries(response.headersDistinct)) {
          for (const value of values ?? []) answer.append(name, value)
        }
        const text = Buffer.concat(await response.toArray())
        const isBodyless = method === 'HEAD' || text.length === 0
        resolve(
          await toAnswer(
            new Response(isBodyless ? null : text, { status: response.statusCode ?? 0, headers: answer }),
          ),
        )
      },
    )
    call.once('error', reject)
    if (chunked) {
      for (let at = 0; at < body.length; at += 16_384) call.write(body.slice(at, at + 16_384))
      call.end()
    } else call.end(body)
  })
}
