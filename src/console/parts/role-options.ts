import type { Role } from '../../database/queries/roles.ts'
import { type GrantJudge, readGrantJudge } from '../../directory/granting.ts'
import { listRoles } from '../../directory/roles.ts'
import { may, type OrganizationVisit } from '../visit.ts'
import type { Option } from './form.ts'
import { readAll } from './paging.ts'

/**
 * The roles there are, the least first; who may not read roles knows of the built-in ones, and of those that are `given`. One that the person may not give is there, and says why it cannot be chosen;
 * where it is given already, it can be taken away.
 */
export async function readRoleOptions(
  visit: OrganizationVisit,
  given: readonly string[] = [],
): Promise<Option[]> {
  const { services, actor, organization } = visit
  const [roles, judge] = await Promise.all([
    readAll((page) => listRoles(services, actor, organization.id, page)),
    readGrantJudge(services.db, actor),
  ])
  const isKnown = ({ id, organizationId }: Role) =>
    organizationId === null || given.includes(id) || may(visit, 'roles:read')
  const sorted = roles
    .filter(isKnown)
    .toSorted((one, other) => one.permissions.length - other.permissions.length)
  return sorted.map((role) => {
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

function findObstacle({ id, organizationId, permissions }: Role, judge: GrantJudge): string | undefined {
  if (!permissions.every(judge.permission)) return 'It allows more than you may do yourself.'
  if (organizationId !== null && !judge.role(id)) return 'You do not have it yourself.'
  return undefined
}
