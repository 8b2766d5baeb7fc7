import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Somebody as a company's OpenID provider knows them. */
export type ProviderPerson = { email?: string; email_verified?: boolean }

/** A real OpenID provider on loopback, with pages to log in by. */
export type TestIdentityProvider = {
  issuer: string
  clientId: string
  clientSecret: string
  /** By subject, which is also what is typed as the login; a test changes them at will. */
  people: Map<string, ProviderPerson>
  /** Walks through login and consent as a browser; answers the URL that the provider sends the browser back to. */
  logIn(authorizationUrl: string, subject: string): Promise<URL>
  /** The same for somebody who goes away from the login page. */
  cancel(authorizationUrl: string): Promise<URL>
  /** Calls a function before the next code is exchanged, and waits for it. */
  beforeExchange(act: () => Promise<unknown>): void
  close(): Promise<void>
}

const CLIENT_ID = 'countersign'
const CLIENT_SECRET = 'secret-of-the-client-at-the-provider'
const MAX_STEPS = 12

hush()
// @ts-expect-error the package brings no types
const { default: Provider } = await import('oidc-provider')

/** The provider warns of what is as a test wants it, in so many lines that they hide why a test failed. */
function hush(): void {
  for (const level of ['info', 'warn'] as const) {
    const say = console[level]
    console[level] = (...words: unknown[]) => {
      if (!String(words[0]).startsWith('oidc-provider ')) say(...words)
    }
  }
}

/** `redirectUris`: what those begin with to which it sends browsers back. */
export async function startIdentityProvider(redirectUris: string): Promise<TestIdentityProvider> {
  let handler: RequestListener = (_req, res) => res.writeHead(503).end()
  let interruption: (() => Promise<unknown>) | undefined
  const http = createServer(async (req, res) => {
    const interrupt = req.url === '/token' ? interruption : undefined
    if (interrupt !== undefined) {
      interruption = undefined
      await interrupt()
    }
    handler(req, res)
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const people = new Map<string, ProviderPerson>()
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        token_endpoint_auth_method: 'client_secret_post',
        redirect_uris: [redirectUris],
      },
    ],
    claims: { email: ['email', 'email_verified'] },
    cookies: { keys: ['a key of this test'] },
    findAccount: (_context: unknown, subject: string) => ({
      accountId: subject,
      claims: () => ({ sub: subject, ...people.get(subject) }),
    }),
  })
  // Organizations come and go while a test runs, and each has a URI of its own.
  provider.Client.prototype.redirectUriAllowed = (uri: string) => uri.startsWith(redirectUris)
  handler = provider.callback()

  return {
    issuer,
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    people,
    logIn: (authorizationUrl, subject) =>
      walk(authorizationUrl, (page) => {
        const action = /action="([^"]+)"/.exec(page)?.[1]
        if (action === undefined) throw new Error(`no form: ${page.slice(0, 300)}`)
        const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1] ?? ''
        return { url: action, form: { prompt, login: subject, password: 'anything' } }
      }),
    cancel: (authorizationUrl) =>
      walk(authorizationUrl, (page) => {
        const abort = /href="([^"]+\/abort)"/.exec(page)?.[1]
        if (abort === undefined) throw new Error(`no way back: ${page.slice(0, 300)}`)
        return { url: abort }
      }),
    beforeExchange(act) {
      interruption = act
    },
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve())
        http.closeAllConnections()
      }),
  }

  async function walk(
    start: string,
    goOn: (page: string) => { url: string; form?: Record<string, string> },
  ): Promise<URL> {
    const cookies = new Map<string, string>()
    let next: { url: string; form?: Record<string, string> } = { url: start }
    for (let step = 0; step < MAX_STEPS; step++) {
      const url = new URL(next.url, issuer)
      if (url.href.startsWith(redirectUris)) return url
      const response = await fetch(url, {
        redirect: 'manual',
        headers: { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
        ...(next.form && { method: 'POST', body: new URLSearchParams(next.form) }),
      })
      for (const text of response.headers.getSetCookie()) {
        const [name = '', value = ''] = (text.split(';')[0] ?? '').split(/=(.*)/s)
        cookies.set(name, value)
      }
      const location = response.headers.get('location')
      next = location === null ? goOn(await response.text()) : { url: new URL(location, url).href }
    }
    throw new Error('the provider never sends the browser back')
  }
}
