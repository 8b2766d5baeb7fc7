import * as authentication from '../../authentication/openid-sign-in.ts'
import { Refusal } from '../../errors.ts'
import { noteRefusal } from '../../http/request-context.ts'
import type { Call, Reply } from '../route.ts'

/** Pages of the console, where somebody goes on, seen from the redirect URI. */
const NEXT = '../../../console/'
const REFUSED = '../../../console/sign-in?refused='

export async function beginOpenid({ services, cookies, res, body, facts }: Call): Promise<Reply> {
  const { url, cookie } = await authentication.beginOpenidSignIn(services, body.organization, facts)
  cookies.openid.set(res, cookie)
  return { status: 200, body: { authorization_url: url } }
}

/**
 * Where the identity provider sends the browser back to. It answers with a page and not with a redirect: a browser
 * that is on its way from another site does not send a Strict cookie, and one that goes on from this page does.
 * A refusal goes to the console's words for it where a page is wanted, and is a problem for who takes JSON.
 */
export async function finishOpenid(call: Call): Promise<Reply> {
  try {
    return await finish(call)
  } catch (error) {
    const { req, res } = call
    if (!(error instanceof Refusal) || req.accepts(['json', 'html']) !== 'html') throw error
    noteRefusal(res, error)
    return { status: 303, to: REFUSED + error.reason }
  }
}

async function finish({ services, cookies, req, res, facts }: Call): Promise<Reply> {
  const cookie = cookies.openid.read(req)
  cookies.openid.clear(res)
  const query = new URL(req.originalUrl, services.issuer).searchParams
  const back = { organizationId: String(req.params.org), query }
  const { secret } = await authentication.finishOpenidSignIn(services, cookie, back, facts)
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
