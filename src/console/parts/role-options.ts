import type { Role } from '../../database/queries/roles.ts'
import { type GrantJudge, readGrantJudge } from '../../directory/granting.ts'
import { listRoles } from '../../directory/roles.ts'
import { may, type OrganizationVisit } from '../visit.ts'
import type { Option } from './form.ts'
import { readAll } from './paging.ts'

/**
 * The roles that somebody may know of: who may not read roles knows of the built-in ones, and of those that are `given` to
 * the account in question.
 */
export async function readKnownRoles(visit: OrganizationVisit, given: readonly string[]): Promise<Role[]> {
  const { services, actor, organization } = visit
  const roles = await readAll((page) => listRoles(services, actor, organization.id, page))
  return roles.filter(
    ({ id, organizationId }) => organizationId === null || given.includes(id) || may(visit, 'roles:read'),
  )
}

/**
 * The same to choose from, the least first. One that the person may not give is there, and says why it cannot be chosen;
 * where it is given already, it can be taken away.
 */
export async function readRoleOptions(
  visit: OrganizationVisit,
  given: readonly string[] = [],
): Promise<Option[]> {
  const [roles, judge] = await Promise.all([
    readKnownRoles(visit, given),
    readGrantJudge(visit.services.db, visit.actor),
  ])
  return roles.toSorted(leastFirst).map((role) => {
    const obstacle = findObstacle(role, judge)
    const isGiven = given.includes(role.id)
    return {
      value: role.id,
      label: role.name,
      help:
        obstacle === undefined
          ? role.description
          : isGiven
            ? 'You can take it away, but not give it back.'
            : obstacle,
      isDisabled: obstacle !== undefined && !isGiven,
    }
  })
}

/** The order in which roles are offered. Pure. */
export function leastFirst(one: Role, other: Role): number {
  return one.permissions.length - other.permissions.length
}

/** Why somebody may not give a role; undefined when they may. Pure. */
export function findObstacle(
  { id, organizationId, permissions }: Role,
  judge: GrantJudge,
): string | undefined {
  if (!permissions.every(judge.permission)) return 'It allows more than you may do yourself.'
  if (organizationId !== null && !judge.role(id)) return 'You do not have it yourself.'
  return undefined
}
