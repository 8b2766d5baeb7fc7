import * as authentication from '../../authentication/second-factor.ts'
import { getSession } from '../../authentication/sessions.ts'
import type { Call, Reply } from '../route.ts'

export async function enrolTotp({ services, secret, body, facts }: Call): Promise<Reply> {
  const session = await getSession(services, secret, facts)
  const enrolment = await authentication.beginEnrolment(services, session, body.password)
  return { status: 200, body: { secret: enrolment.secret, key_uri: enrolment.keyUri } }
}

export async function confirmTotp({ services, secret, body, facts }: Call): Promise<Reply> {
  const session = await getSession(services, secret, facts)
  const codes = await authentication.confirmEnrolment(services, session, body.code)
  return { status: 200, body: { recovery_codes: codes } }
}

export async function removeTotp({ services, secret, body, facts }: Call): Promise<Reply> {
  const session = await getSession(services, secret, facts)
  await authentication.removeSecondFactor(services, session, { password: body.password, code: body.code })
  return { status: 204 }
}

export async function replaceRecoveryCodes({ services, secret, body, facts }: Call): Promise<Reply> {
  const session = await getSession(services, secret, facts)
  const codes = await authentication.replaceRecoveryCodes(services, session, body.password)
  return { status: 200, body: { recovery_codes: codes } }
}
