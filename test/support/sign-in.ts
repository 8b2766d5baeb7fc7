import { randomBytes } from 'node:crypto'
import { codeOf, stepAt } from '../../src/authentication/totp.ts'
import { type Answer, must, type TestServer, toAnswer } from './server.ts'

/** What keeps cookies and names the origin of its page, as a browser does. */
export type Browser = {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** By name; those that were cleared are gone. */
  cookies: Map<string, string>
}

/** An administrator as a test made them; `access` is as the API takes it. */
export type TestAdministrator = {
  id: string
  organizationId: string
  path: string
  name: string
  email: string
  password: string
  /** The secret of the first invitation, used up. */
  invitation: string
}

export const SESSION_COOKIE = 'countersign-session'

export function createBrowser(
  server: TestServer,
  options: { ip?: string; userAgent?: string; url?: string } = {},
): Browser {
  const cookies = new Map<string, string>()
  return {
    cookies,
    async call(method, path, body, headers = {}) {
      const response = await fetch(`${options.url ?? server.url}/sign-in${path}`, {
        method,
        redirect: 'manual',
        headers: {
          origin: new URL(server.issuer).origin,
          'user-agent': options.userAgent ?? 'test browser',
          ...(options.ip !== undefined && { 'x-forwarded-for': options.ip }),
          ...(cookies.size > 0 && { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      for (const text of response.headers.getSetCookie()) keep(text)
      return toAnswer(response)
    },
  }

  function keep(text: string): void {
    const [pair = '', ...attributes] = text.split('; ')
    const [name = '', value = ''] = pair.split('=')
    const isGone = attributes.some((attribute) => attribute.startsWith('Expires=Thu, 01 Jan 1970'))
    if (isGone) cookies.delete(name)
    else cookies.set(name, value)
  }
}

/** The secret in the fragment of an invitation's link. */
export function secretOf(invitationUrl: string): string {
  return new URL(invitationUrl).hash.slice(1)
}

/** An administrator who has accepted the invitation. */
export async function createAdministrator(
  server: TestServer,
  organizationId: string,
  access: Record<string, unknown> = {},
): Promise<TestAdministrator> {
  const suffix = randomBytes(6).toString('hex')
  const invited = await must(
    server.api('POST', `/organizations/${organizationId}/administrators`, {
      name: `Person ${suffix}`,
      email: `person-${suffix}@people.example`,
      ...access,
    }),
  )
  const invitation = secretOf(invited.invitation_url)
  const password = `a long pass phrase ${suffix}`
  await must(createBrowser(server).call('POST', '/invitation/accept', { invitation, password }))
  const { id, name, email } = invited
  const path = `/organizations/${organizationId}/administrators/${id}`
  return { id, organizationId, path, name, email, password, invitation }
}

/** Signs in by password; throws when that fails. */
export async function signIn(
  server: TestServer,
  { email, password }: Pick<TestAdministrator, 'email' | 'password'>,
  options: Parameters<typeof createBrowser>[1] = {},
): Promise<Browser> {
  const browser = createBrowser(server, options)
  await must(browser.call('POST', '/password', { email, password }))
  return browser
}

/** What an authenticator shows: of the present step, or of one so many steps later. */
export function codeFor(server: TestServer, secret: string, stepsLater = 0): string {
  return codeOf(fromBase32(secret), stepAt(server.clock.now()) + stepsLater)
}

/** Sets a second factor up; answers its secret, the code that confirmed it, and the recovery codes. */
export async function enrol(
  server: TestServer,
  browser: Browser,
  password: string,
): Promise<{ secret: string; code: string; recoveryCodes: string[] }> {
  const { secret } = await must(browser.call('POST', '/totp', { password }))
  const code = codeFor(server, secret)
  const { recovery_codes: recoveryCodes } = await must(browser.call('POST', '/totp/confirm', { code }))
  return { secret, code, recoveryCodes }
}

function fromBase32(text: string): Buffer {
  const bits = [...text]
    .map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'))
    .join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2)))
}
