import { type Answer, type TestServer, toAnswer } from './server.ts'
import { SESSION_COOKIE, signIn, type TestAdministrator } from './sign-in.ts'

/** The console over plain HTTP, as a browser without JavaScript sends it: for what a page would not let one do. */
export type ConsoleClient = {
  cookies: Map<string, string>
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  /** Sends a form with the token that this session's forms bear, unless `fields` has another one. */
  post(path: string, fields?: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
  formToken(): Promise<string>
}

/** Somebody who is not signed in, or the administrator that is given. */
export async function createConsoleClient(
  server: TestServer,
  administrator?: TestAdministrator,
  options: { userAgent?: string } = {},
): Promise<ConsoleClient> {
  const cookies = new Map<string, string>()
  if (administrator !== undefined) {
    const browser = await signIn(server, administrator, options)
    cookies.set(SESSION_COOKIE, browser.cookies.get(SESSION_COOKIE) ?? '')
  }
  let token: string | undefined
  const client: ConsoleClient = {
    cookies,
    get: (path, headers = {}) => send(path, { headers }),
    async post(path, fields = {}, headers = {}) {
      const form = { form_token: await client.formToken(), ...fields }
      return send(path, {
        method: 'POST',
        headers: {
          origin: new URL(server.issuer).origin,
          'content-type': 'application/x-www-form-urlencoded',
          ...headers,
        },
        body: new URLSearchParams(form).toString(),
      })
    },
    async formToken() {
      token ??= tokenIn((await send(administrator === undefined ? '/sign-in' : '/security', {})).text)
      return token
    },
  }
  return client

  async function send(path: string, init: RequestInit): Promise<Answer> {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
    const headers = { ...(cookie !== '' && { cookie }), ...(init.headers as Record<string, string>) }
    const response = await fetch(`${server.url}/console${path}`, { ...init, headers, redirect: 'manual' })
    for (const text of response.headers.getSetCookie()) {
      const [pair = ''] = text.split(';')
      const [name = '', value = ''] = pair.split(/=(.*)/s)
      cookies.set(name, value)
    }
    return toAnswer(response)
  }
}

/** The token that the forms of a page bear. */
export function tokenIn(page: string): string {
  const token = /name="form_token" value="([^"]+)"/.exec(page)?.[1]
  if (token === undefined) throw new Error(`no form: ${page.slice(0, 500)}`)
  return token
}
