import * as authentication from '../../authentication/passwords.ts'
import type { OrganizationRow } from '../../database/tables.ts'
import type { Call, Reply } from '../route.ts'

export async function readInvitation({ services, body }: Call): Promise<Reply> {
  const invited = await authentication.readInvitation(services, body.invitation)
  const { email, name, organization, expiresAt } = invited
  return {
    status: 200,
    body: { email, name, organization: present(organization), expires_at: expiresAt.toISOString() },
  }
}

export async function acceptInvitation({ services, body, facts }: Call): Promise<Reply> {
  const { invitation, password } = body
  const accepted = await authentication.acceptInvitation(services, { invitation, password }, facts)
  return { status: 200, body: { email: accepted.email, organization: present(accepted.organization) } }
}

function present({ id, slug, name }: OrganizationRow) {
  return { id, slug, name }
}
