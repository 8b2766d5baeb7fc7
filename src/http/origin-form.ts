import type { RequestListener } from 'node:http'

const ABSOLUTE_FORM = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*(.*)$/i

/**
 * Lets an application see every request target in origin form, also one that came in absolute form (RFC 9112
 * §3.2.2): whichever way a client puts it, it means one path. The host that it names is believed as little as `Host`.
 */
export function inOriginForm(app: RequestListener): RequestListener {
  return (req, res) => {
    const rest = ABSOLUTE_FORM.exec(req.url ?? '')?.[1]
    if (rest !== undefined) req.url = rest.startsWith('/') ? rest : `/${rest}`
    app(req, res)
  }
}
