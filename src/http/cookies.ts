import type { Request, Response } from 'express'

/** What a browser keeps for us. */
export type Cookie = {
  read(req: Request): string | undefined
  set(res: Response, value: string): void
  clear(res: Response): void
}

/**
 * The session of an administrator. Strict: no request that another site has begun bears it. Gone when the browser
 * is closed; how long the session lasts is the server's to say.
 */
export function sessionCookie(issuer: string): Cookie {
  return createCookie(issuer, 'countersign-session', { sameSite: 'strict' })
}

/**
 * A sign-in under way at an identity provider. Lax: the browser comes back from another site, and must bear it
 * then. It opens nothing by itself.
 */
export function openidCookie(issuer: string, maxAgeSeconds: number): Cookie {
  return createCookie(issuer, 'countersign-openid', { sameSite: 'lax', maxAge: maxAgeSeconds * 1000 })
}

/** What the forms of somebody who is not signed in are bound to. Strict, and gone when the browser is closed. */
export function formCookie(issuer: string): Cookie {
  return createCookie(issuer, 'countersign-form', { sameSite: 'strict' })
}

/** One sentence for the page after a form, sealed. Gone once it is shown. */
export function noticeCookie(issuer: string, maxAgeSeconds: number): Cookie {
  return createCookie(issuer, 'countersign-notice', { sameSite: 'strict', maxAge: maxAgeSeconds * 1000 })
}

/** A form that came after its session had ended, sealed: until its person has signed in again. */
export function unsentCookie(issuer: string, maxAgeSeconds: number): Cookie {
  return createCookie(issuer, 'countersign-unsent', { sameSite: 'strict', maxAge: maxAgeSeconds * 1000 })
}

/**
 * On https with the prefix `__Host-` (RFC 6265bis §4.1.3.2): only this host, and only over TLS, can have set it, so
 * no neighbouring host can plant a cookie of its own.
 */
function createCookie(
  issuer: string,
  plainName: string,
  kind: { sameSite: 'strict' | 'lax'; maxAge?: number },
): Cookie {
  const secure = issuer.startsWith('https:')
  const name = secure ? `__Host-${plainName}` : plainName
  const options = { httpOnly: true, secure, path: '/', sameSite: kind.sameSite }
  return {
    read: (req) => readCookie(req.get('cookie'), name),
    set: (res, value) => {
      res.cookie(name, value, { ...options, ...(kind.maxAge !== undefined && { maxAge: kind.maxAge }) })
    },
    clear: (res) => {
      res.clearCookie(name, options)
    },
  }
}

/** The one value of a cookie; undefined when there is none, or several, of which one would be somebody else's. */
function readCookie(header: string | undefined, name: string): string | undefined {
  const values = (header ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1))
  return values.length === 1 && values[0] !== '' ? values[0] : undefined
}
