import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import type { Db } from '../database/connect.ts'
import { prepareSchema } from '../database/open.ts'
import { preparePartitions } from '../database/partitions.ts'
import { findAdministratorByEmail } from '../database/queries/administrators.ts'
import { findOrganizationBySlug } from '../database/queries/organizations.ts'
import { findBuiltInRole } from '../database/queries/roles.ts'
import type { OrganizationRow } from '../database/tables.ts'
import { systemActor } from '../directory/actor.ts'
import { createAdministrator, normalizeEmail } from '../directory/administrators.ts'
import { BUILT_IN_ROLES, OWNER_ROLE } from '../directory/built-in-roles.ts'
import { ensureInstallation } from '../directory/installation.ts'
import { type Invitation, inviteAgain } from '../directory/invitations.ts'
import { OperatorError, Refusal } from '../errors.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'
import { withDatabase } from './with-database.ts'

export type InviteOptions = ConfigurationFlags & {
  email: string
  name?: string
  organization: string
  role: string
  removeSecondFactor?: boolean
}

/** Something before and after one @, and no space: the rest is for the person to get right. */
const ADDRESS = /^[^\s@]+@[^\s@]+$/
const MAX_ADDRESS_LENGTH = 254

type Services = { db: Db; clock: typeof systemClock; issuer: string }

/**
 * Invites an administrator as whoever runs the server, who may do everything; for an address that has one
 * already, resets the password. Prints the link, which is kept nowhere.
 * Throws OperatorError.
 */
export async function invite(options: InviteOptions): Promise<void> {
  const config = readConfig(toSettings(options))
  const email = requireAddress(options.email)
  const report = await withDatabase(config, async (database) => {
    await prepareSchema(database, config)
    // Audit events need their partition.
    await preparePartitions(database.db, systemClock.now())
    const services = { db: database.db, clock: systemClock, issuer: config.issuer }
    await ensureInstallation(database.db, services)
    const organization = await requireOrganization(database.db, options.organization)
    const existing = await findAdministratorByEmail(database.db, organization.id, email)
    const invited =
      existing === undefined ? create(services, organization, { ...options, email }) : reset(existing.id)
    return describe(email, organization, await invited.catch(rethrowRefusal))

    function reset(accountId: string): Promise<{ invitation: Invitation }> {
      const path = { organizationId: organization.id, accountId }
      const removeSecondFactor = options.removeSecondFactor === true
      return inviteAgain(services, systemActor, path, { removeSecondFactor })
    }
  })
  process.stdout.write(`${report}\n`)
}

async function create(
  services: Services,
  organization: OrganizationRow,
  { name, email, role }: InviteOptions,
): Promise<{ invitation: Invitation }> {
  const found = await findBuiltInRole(services.db, role)
  if (found === undefined) {
    const known = BUILT_IN_ROLES.map((each) => each.name).join(', ')
    throw new OperatorError(`There is no built-in role ${role}. Choose one of: ${known}.`)
  }
  return createAdministrator(services, systemActor, organization.id, {
    name: name ?? email,
    email,
    access: {
      permissions: undefined,
      roleIds: [found.id],
      groupAccess: undefined,
      // Nobody could give access to a group if no owner had any (promise 8).
      groupsAdministrator: role === OWNER_ROLE ? 'manager' : undefined,
    },
  })
}

function requireAddress(text: string): string {
  if (ADDRESS.test(text) && text.length <= MAX_ADDRESS_LENGTH) return normalizeEmail(text)
  throw new OperatorError('--email must be an address, such as ada@acme.example.')
}

async function requireOrganization(db: Db, slug: string): Promise<OrganizationRow> {
  const organization = await findOrganizationBySlug(db, slug)
  if (organization !== undefined) return organization
  throw new OperatorError(`There is no organization with the slug ${slug}.`)
}

function describe(
  email: string,
  organization: OrganizationRow,
  { invitation }: { invitation: Invitation },
): string {
  return [
    `Invitation for ${email} to ${organization.name}, good once, until ${invitation.expiresAt.toISOString()}:`,
    `  ${invitation.url}`,
  ].join('\n')
}

/** At the command line a refusal is a fault of what was asked for. */
function rethrowRefusal(error: unknown): never {
  if (!(error instanceof Refusal)) throw error
  switch (error.reason) {
    case 'email_taken':
      throw new OperatorError('The organization has an account of this address.')
    case 'administrator_disabled':
      throw new OperatorError('The administrator is disabled. Enable them first.')
    default:
      throw new OperatorError(`Refused: ${textOf(error)}`)
  }
}

function textOf({ reason, told }: Refusal): string {
  return told.hint ?? told.faults?.map(({ pointer, detail }) => `${pointer} ${detail}`).join(', ') ?? reason
}
