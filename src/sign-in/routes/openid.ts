import * as authentication from '../../authentication/openid-sign-in.ts'
import type { Call, Reply } from '../route.ts'

/** Where somebody goes who has been signed in by an identity provider, seen from the redirect URI. */
const NEXT = '../session'

export async function beginOpenid({ services, cookies, res, body, facts }: Call): Promise<Reply> {
  const { url, cookie } = await authentication.beginOpenidSignIn(services, body.organization, facts)
  cookies.openid.set(res, cookie)
  return { status: 200, body: { authorization_url: url } }
}

/**
 * Where the identity provider sends the browser back to. It answers with a page and not with a redirect: a browser
 * that is on its way from another site does not send a Strict cookie, and one that goes on from this page does.
 */
export async function finishOpenid({ services, cookies, req, res, facts }: Call): Promise<Reply> {
  const cookie = cookies.openid.read(req)
  cookies.openid.clear(res)
  const query = new URL(req.originalUrl, services.issuer).searchParams
  const { secret } = await authentication.finishOpenidSignIn(services, cookie, query, facts)
  cookies.session.set(res, secret)
  return { status: 200, page: PAGE }
}

const PAGE = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta http-equiv="refresh" content="0; url=${NEXT}">
  <title>Countersign</title>
  <link rel="icon" href="data:,">
</head>
<body><p>You are signed in. <a href="${NEXT}">Go on</a></p></body>
</html>
`
