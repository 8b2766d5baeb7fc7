import * as authentication from '../../authentication/sessions.ts'
import { findCredentials } from '../../database/queries/credentials.ts'
import type { Call, Reply } from '../route.ts'

export async function getSession({ services, secret, facts }: Call): Promise<Reply> {
  const { record, actor } = await authentication.getSession(services, secret, facts)
  const credentials = await findCredentials(services.db, record.accountId)
  return {
    status: 200,
    body: {
      account: {
        id: record.accountId,
        kind: 'administrator',
        name: record.accountName,
        email: record.accountEmail,
        has_password: credentials?.passwordHash != null,
        has_second_factor: credentials?.totpConfirmedAt != null,
        recovery_codes_left: credentials?.recoveryCodesLeft ?? 0,
      },
      organization: {
        id: record.organizationId,
        slug: record.organizationSlug,
        name: record.organizationName,
      },
      permissions: actor.permissions,
      session: {
        id: record.id,
        method: record.method,
        created_at: record.createdAt.toISOString(),
        expires_at: record.expiresAt.toISOString(),
      },
    },
  }
}

export async function signOut({ services, cookies, secret, res, facts }: Call): Promise<Reply> {
  await authentication.signOut(services, secret, facts)
  cookies.session.clear(res)
  return { status: 204 }
}
