import { findOperatorOrganization } from '../database/queries/organizations.ts'
import { findBuiltInRole } from '../database/queries/roles.ts'
import { hasOperatorAdministrator, isSetUpLinkLive, takeSetUpLink } from '../database/queries/set-up-link.ts'
import { transact } from '../database/transaction.ts'
import { type RequestFacts, systemActor } from '../directory/actor.ts'
import { addAdministrator } from '../directory/administrators.ts'
import { OWNER_ROLE } from '../directory/built-in-roles.ts'
import { secretOf } from '../directory/invitations.ts'
import { Refusal } from '../errors.ts'
import { digestSecret } from '../tokens/access-token.ts'
import { requireGoodPassword } from './password-rules.ts'
import { redeemInvitation } from './passwords.ts'
import type { AuthenticationServices } from './services.ts'

type Services = Pick<AuthenticationServices, 'db' | 'clock' | 'issuer' | 'passwords'>

/** What the first administrator says of themselves. */
export type FirstAdministrator = { name: string; email: string; password: string }

/** Throws Refusal `invitation_invalid` unless the set-up link can be used. */
export async function checkSetUpLink(
  { db, clock }: Pick<Services, 'db' | 'clock'>,
  secret: string,
): Promise<void> {
  if (await isSetUpLinkLive(db, digestSecret(secret), new Date(clock.now()))) return
  throw new Refusal('invitation_invalid', { fact: 'set-up link unknown, used or expired' })
}

/**
 * Makes the first administrator, an owner of the platform, by the set-up link. The link is used up with it, or
 * nothing has happened: of two who come at once, one gets it.
 * Throws Refusal `invitation_invalid`, `input_invalid` for the password, `email_taken` or `too_many_requests`.
 */
export async function setUp(
  services: Services,
  secret: string,
  { name, email, password }: FirstAdministrator,
  request: RequestFacts,
): Promise<void> {
  const { db, clock, issuer } = services
  // Before the password is hashed: whoever has no link makes no work.
  await checkSetUpLink(services, secret)
  const hash = await services.passwords.hash(requireGoodPassword(password, '/password', [name, email]))
  await transact(db, async (trx) => {
    const now = clock.now()
    const isTaken = await takeSetUpLink(trx, digestSecret(secret), new Date(now))
    if (!isTaken || (await hasOperatorAdministrator(trx))) {
      throw new Refusal('invitation_invalid', { fact: 'the installation has an administrator already' })
    }
    const organization = await findOperatorOrganization(trx)
    const owner = await findBuiltInRole(trx, OWNER_ROLE)
    if (organization === undefined || owner === undefined) throw new Error('the installation is incomplete')
    const { invitation } = await addAdministrator(
      trx,
      { issuer, now },
      { ...systemActor, request },
      organization.id,
      {
        name,
        email,
        access: {
          permissions: undefined,
          roleIds: [owner.id],
          groupAccess: undefined,
          // Nobody could give access to a group if no owner had any (promise 8).
          groupsAdministrator: 'manager',
        },
      },
    )
    await redeemInvitation(trx, { digest: digestSecret(secretOf(invitation)), hash }, request, now)
  })
}
