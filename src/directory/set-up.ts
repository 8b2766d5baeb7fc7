import { randomBytes } from 'node:crypto'
import { hasOperatorAdministrator, insertSetUpLink } from '../database/queries/set-up-link.ts'
import { transact } from '../database/transaction.ts'
import { digestSecret } from '../tokens/access-token.ts'
import type { Invitation } from './invitations.ts'
import type { DirectoryServices } from './services.ts'

/** An invitation of a kind, so it looks like one to those who scan for secrets. */
const SECRET_PREFIX = 'csi_'
const SECRET_OCTETS = 32
const LIFETIME_HOURS = 24

/**
 * The link by which the first administrator says who they are: made once in the life of an installation, and only
 * while it has no administrator. It is in the answer alone; its SHA-256 is kept. undefined from the second time on.
 */
export async function issueSetUpLink({
  db,
  clock,
  issuer,
}: Pick<DirectoryServices, 'db' | 'clock' | 'issuer'>): Promise<Invitation | undefined> {
  const secret = SECRET_PREFIX + randomBytes(SECRET_OCTETS).toString('base64url')
  const now = clock.now()
  const expiresAt = new Date(now + LIFETIME_HOURS * 3_600_000)
  const isFirst = await transact(db, async (trx) => {
    if (await hasOperatorAdministrator(trx)) return false
    return insertSetUpLink(trx, { digest: digestSecret(secret), createdAt: new Date(now), expiresAt })
  })
  return isFirst ? { url: `${issuer}/console/set-up#${secret}`, expiresAt } : undefined
}
