import type { Call, Reply } from '../route.ts'
import { showTime } from '../time.ts'

/** Everything here comes with the token: the read that found it has joined account and organization. */
export async function getMe({ actor, token }: Call): Promise<Reply> {
  return {
    status: 200,
    body: {
      account: {
        id: token.accountId,
        kind: token.accountKind,
        name: token.accountName,
        email: token.accountEmail,
      },
      organization: {
        id: token.organizationId,
        slug: token.organizationSlug,
        name: token.organizationName,
      },
      permissions: actor.permissions,
      // An API token was not issued: it is its key.
      token: {
        id: token.id === token.keyId ? null : token.id,
        key_id: token.keyId,
        expires_at: showTime(token.expiresAt),
      },
    },
  }
}
