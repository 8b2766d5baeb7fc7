import type { Trx } from '../database/connect.ts'
import { lockAccount, updateAccount } from '../database/queries/accounts.ts'
import {
  type Administrator,
  findAdministratorByEmail,
  findAdmissibleAdministrator,
} from '../database/queries/administrators.ts'
import { lockCredentials } from '../database/queries/credentials.ts'
import {
  findIdentityProvider,
  findIdentityProviderBySlug,
  findLinkedAccountId,
  linkAccount,
} from '../database/queries/identity-providers.ts'
import { deleteInvitation } from '../database/queries/invitations.ts'
import { shareOrganization } from '../database/queries/organizations.ts'
import type { IdentityProviderRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import type { RequestFacts } from '../directory/actor.ts'
import { normalizeEmail } from '../directory/administrators.ts'
import { recordChanges } from '../directory/audit.ts'
import { openidRedirectUri } from '../directory/identity-providers.ts'
import { Refusal } from '../errors.ts'
import { createSeal, type Seal } from '../signing/seal.ts'
import type { OpenidPerson, OpenidProviders, OpenidRequest } from './openid-provider.ts'
import type { SignedIn } from './password-sign-in.ts'
import { noting } from './refused-sign-in.ts'
import { safeEqual } from './safe-equal.ts'
import type { AuthenticationServices } from './services.ts'
import { beginSession } from './sessions.ts'

/** How long somebody may take at the provider. */
export const OPENID_REQUEST_SECONDS = 600

type Services = AuthenticationServices & { openid: OpenidProviders }

/** A sign-in that has begun, as the browser keeps it: sealed, so that it can neither be read nor made. */
type Begun = OpenidRequest & { organizationId: string; issuer: string; expiresAt: number }

/**
 * Begins a sign-in at an organization's identity provider. `cookie` belongs to this browser alone and must come
 * back with it: by it nobody can be signed in to an account of somebody else (RFC 6749 §10.12).
 * Throws Refusal `too_many_requests`, `openid_not_set` or `openid_unavailable`.
 */
export async function beginOpenidSignIn(
  services: Services,
  organizationSlug: string,
  request: RequestFacts,
): Promise<{ url: string; cookie: string }> {
  const { db, clock, issuer, openid, throttle } = services
  await throttle.countOpenid(request.ip ?? '')
  const provider = await findIdentityProviderBySlug(db, organizationSlug)
  if (provider === undefined) throw new Refusal('openid_not_set', { organizationSlug })
  const { organizationId } = provider
  const begun = await openid.begin(provider, openidRedirectUri(issuer, organizationId))
  const expiresAt = clock.now() + OPENID_REQUEST_SECONDS * 1000
  return {
    url: begun.url,
    cookie: sealOf(services).seal({ ...begun.request, organizationId, issuer: provider.issuer, expiresAt }),
  }
}

/**
 * Ends it: the browser has come back with `query`, to the redirect URI of `organizationId`. The provider vouches for an
 * address of a domain that the organization allows; the administrator of the organization with that address is signed in,
 * and from then on known by issuer and subject. Nobody is created.
 * Throws Refusal `openid_request_unknown`, `too_many_requests`, `openid_unavailable`, `openid_failed`,
 * `openid_identity_refused` or `account_not_active`.
 */
export async function finishOpenidSignIn(
  services: Services,
  cookie: string | undefined,
  { organizationId, query }: { organizationId: string; query: URLSearchParams },
  request: RequestFacts,
): Promise<SignedIn> {
  const { db, clock, issuer, openid, throttle } = services
  const begun = sealOf(services).open(cookie)
  if (
    begun === undefined ||
    // RFC 9700 §4.4: else a provider could have somebody bring it the code of another.
    begun.organizationId !== organizationId ||
    clock.now() >= begun.expiresAt ||
    !safeEqual(query.get('state') ?? '', begun.state)
  ) {
    throw new Refusal('openid_request_unknown', {
      fact: begun === undefined ? 'no cookie' : 'expired or other',
    })
  }
  await throttle.countOpenid(request.ip ?? '')
  const provider = await findIdentityProvider(db, begun.organizationId)
  if (provider === undefined || provider.issuer !== begun.issuer) throw changedMeanwhile(organizationId)
  const currentUrl = new URL(openidRedirectUri(issuer, organizationId))
  currentUrl.search = query.toString()
  const person = await openid.finish(provider, currentUrl, begun)
  const email = requireAllowedEmail(provider, person)
  const candidate = await findCandidate(db, provider, person.subject, email)
  if (candidate === undefined) {
    throw new Refusal('openid_identity_refused', {
      organizationId: provider.organizationId,
      fact: 'nobody has this address',
    })
  }
  const { id: accountId, name: accountName } = candidate
  const account = { accountId, accountName, accountKind: 'administrator', organizationId } as const
  return noting(services, account, request, () =>
    transact(db, async (trx) => {
      const now = clock.now()
      await assertStillSet(trx, provider)
      const administrator = await lockAdmissible(trx, accountId)
      await link(trx, administrator, { provider, subject: person.subject }, request, now)
      const secret = await beginSession(
        trx,
        {
          account: { id: accountId, name: accountName, organizationId },
          method: 'openid',
          awaitsSecondFactor: false,
          secondFactor: null,
          now,
        },
        request,
      )
      return { secret, awaitsSecondFactor: false }
    }),
  )
}

/** Pure. Throws Refusal `openid_identity_refused`. */
function requireAllowedEmail(
  { organizationId, emailDomains }: IdentityProviderRow,
  { email, emailVerified }: OpenidPerson,
): string {
  const refuse = (fact: string) => new Refusal('openid_identity_refused', { organizationId, fact })
  if (email === undefined) throw refuse('the provider names no address')
  if (!emailVerified) throw refuse('the provider has not verified the address')
  const normalized = normalizeEmail(email)
  // Of a few characters the lower case is an ASCII letter: theirs is another mailbox than the one of that letter.
  if (isAscii(normalized) && !isAscii(email)) throw refuse('the address is written like another one')
  const domain = normalized.slice(normalized.lastIndexOf('@') + 1)
  if (!emailDomains.includes(domain)) throw refuse('the domain of the address is not allowed')
  return normalized
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text)
}

/** Who is linked to the subject; else who has the address and is linked to nobody. */
async function findCandidate(
  db: AuthenticationServices['db'],
  { organizationId, issuer }: IdentityProviderRow,
  subject: string,
  email: string,
): Promise<Administrator | undefined> {
  const linkedId = await findLinkedAccountId(db, { organizationId, issuer, subject })
  if (linkedId !== undefined) return findAdmissibleAdministrator(db, linkedId)
  return findAdministratorByEmail(db, organizationId, email)
}

/** To ask it took as long as it liked. What is set now stays so until the transaction ends. */
async function assertStillSet(trx: Trx, asked: IdentityProviderRow): Promise<void> {
  const { organizationId } = asked
  // Before the account, as everybody does who needs both.
  await shareOrganization(trx, organizationId)
  const present = await findIdentityProvider(trx, organizationId)
  if (present === undefined || termsOf(present) !== termsOf(asked)) throw changedMeanwhile(organizationId)
}

/** All by which somebody is let in, as one text to compare by. */
function termsOf({ issuer, clientId, emailDomains }: IdentityProviderRow): string {
  return JSON.stringify([issuer, clientId, emailDomains])
}

function changedMeanwhile(organizationId: string): Refusal {
  return new Refusal('openid_request_unknown', { organizationId, fact: 'changed meanwhile' })
}

async function lockAdmissible(trx: Trx, accountId: string): Promise<Administrator> {
  await lockAccount(trx, accountId)
  await lockCredentials(trx, accountId)
  const administrator = await findAdmissibleAdministrator(trx, accountId)
  if (administrator === undefined) throw new Refusal('account_not_active', { accountId })
  return administrator
}

/** The first time: the account is linked and active, and an invitation has no use any more. */
async function link(
  trx: Trx,
  { id, name, organizationId, status }: Administrator,
  { provider: { issuer }, subject }: { provider: IdentityProviderRow; subject: string },
  request: RequestFacts,
  now: number,
): Promise<void> {
  const identity = { organizationId, issuer, subject }
  const linkedId = await findLinkedAccountId(trx, identity)
  if (linkedId === undefined) {
    if (!(await linkAccount(trx, id, identity, new Date(now)))) {
      throw new Refusal('openid_identity_refused', { fact: 'the account is linked to another subject' })
    }
    await recordChanges(trx, { accountId: id, kind: 'administrator', name, request }, now, [
      {
        organizationId,
        action: 'administrator.openid_linked',
        target: { id, kind: 'administrator', name },
        changes: { after: { issuer, subject } },
      },
    ])
  } else if (linkedId !== id) {
    throw new Refusal('openid_identity_refused', { fact: 'the subject is linked to another account' })
  }
  if (status !== 'invited') return
  await deleteInvitation(trx, id)
  await updateAccount(trx, id, { status: 'active' }, { endTokens: false, now: new Date(now) })
}

/** The same key on every node, so that a sign-in may end at another one than it began at. */
function sealOf({ keyEncryptionKeys }: Pick<Services, 'keyEncryptionKeys'>): Seal<Begun> {
  return createSeal(keyEncryptionKeys, 'openid sign-in')
}
