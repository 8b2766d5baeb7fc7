import * as authentication from '../../authentication/passwords.ts'
import type { Call, Reply } from '../route.ts'

export async function readInvitation({ services, body }: Call): Promise<Reply> {
  const { email, name, expiresAt } = await authentication.readInvitation(services, body.invitation)
  return { status: 200, body: { email, name, expires_at: expiresAt.toISOString() } }
}

export async function acceptInvitation({ services, body, facts }: Call): Promise<Reply> {
  const { invitation, password } = body
  const { email } = await authentication.acceptInvitation(services, { invitation, password }, facts)
  return { status: 200, body: { email } }
}
