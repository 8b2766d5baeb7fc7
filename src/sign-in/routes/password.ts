import * as authentication from '../../authentication/password-sign-in.ts'
import { changePassword as change } from '../../authentication/passwords.ts'
import { getSession } from '../../authentication/sessions.ts'
import type { Call, Reply } from '../route.ts'

export async function signIn({ services, cookies, res, body, facts }: Call): Promise<Reply> {
  const { email, password, organization } = body
  const signedIn = await authentication.signInWithPassword(services, { email, password, organization }, facts)
  cookies.session.set(res, signedIn.secret)
  return {
    status: 200,
    body: { status: signedIn.awaitsSecondFactor ? 'second_factor_required' : 'signed_in' },
  }
}

export async function giveSecondFactor({
  services,
  cookies,
  secret,
  res,
  body,
  facts,
}: Call): Promise<Reply> {
  const signedIn = await authentication.giveSecondFactor(services, secret, body.code, facts)
  cookies.session.set(res, signedIn.secret)
  return { status: 200, body: { status: 'signed_in' } }
}

export async function changePassword({ services, secret, body, facts }: Call): Promise<Reply> {
  const session = await getSession(services, secret, facts)
  await change(services, session, { password: body.password, newPassword: body.new_password })
  return { status: 204 }
}
