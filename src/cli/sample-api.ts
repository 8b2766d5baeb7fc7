import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { postForm } from './http.ts'
import { toBasic } from './introspect.ts'

/** A resource server in its smallest form, for the demo. */
export type SampleApi = { url: string; close(): Promise<void> }

const PERMISSION = 'notes:read'

/** `GET /notes`, for those whose access token holds and bears `notes:read`; it asks the server every time. */
export async function startSampleApi(
  issuer: string,
  credentials: { id: string; secret: string },
): Promise<SampleApi> {
  const server = createServer(async (req, res) => {
    const { status, challenge, body } = await answer(req)
    if (challenge !== undefined) res.setHeader('WWW-Authenticate', challenge)
    res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }

  /** RFC 6750 §3.1: what is wrong with the token, and what would do. */
  async function answer(req: IncomingMessage) {
    const token = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '')?.[1]
    if (token === undefined) return refuse(401, 'Bearer', 'a token is needed')
    const authorization = toBasic(credentials.id, credentials.secret)
    const { status, body } = await postForm(`${issuer}/oauth/introspect`, { token }, { authorization })
    if (status !== 200) return refuse(503, undefined, 'the authorization server does not answer')
    if (body?.active !== true) return refuse(401, 'Bearer error="invalid_token"', 'this token does not hold')
    if (!String(body.scope).split(' ').includes(PERMISSION)) {
      return refuse(
        403,
        `Bearer error="insufficient_scope", scope="${PERMISSION}"`,
        `${PERMISSION} is needed`,
      )
    }
    return { status: 200, challenge: undefined, body: { notes: [`Hello, ${body.username}`] } }
  }
}

function refuse(status: number, challenge: string | undefined, detail: string) {
  return { status, challenge, body: { error: status === 401 ? 'invalid_token' : 'refused', detail } }
}
