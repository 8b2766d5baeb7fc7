import type { GroupRow } from '../../database/tables.ts'
import { findGroupNamed, listGroups, nameGroups } from '../../directory/groups.ts'
import { type Draft, withFault } from '../forms.ts'
import type { Html } from '../html.ts'
import { may, type OrganizationVisit } from '../visit.ts'
import { textField } from './form.ts'

/** Groups that are offered besides those that an account has access to by name. */
const MAX_OFFERED = 200
/** The ninth branch before the tenth. */
const byName = new Intl.Collator('en', { numeric: true }).compare

/** Groups to choose from, by name. `hasMore`: there are others, to be named in `otherGroupField`. */
export type OfferedGroups = { groups: readonly GroupRow[]; hasMore: boolean }

/**
 * Those that an account has access to, and the newest others; undefined for who may not know of groups. An organization may
 * have thousands, which programs have made.
 */
export async function readGroups(
  visit: OrganizationVisit,
  given: readonly string[],
): Promise<OfferedGroups | undefined> {
  const { services, actor, organization } = visit
  if (!may(visit, 'groups:read')) return undefined
  const [known, newest] = await Promise.all([
    nameGroups(services, actor, organization.id, given),
    listGroups(services, actor, organization.id, { limit: MAX_OFFERED, cursor: undefined }),
  ])
  const groups = [...known, ...newest.items.filter(({ id }) => !given.includes(id))]
  return {
    groups: groups.sort((one, other) => byName(one.name, other.name)),
    hasMore: newest.nextCursor !== null,
  }
}

/** For a group that is not among those that are offered. */
export function otherGroupField(draft: Draft): Html {
  return textField(draft, {
    name: 'group_name',
    label: 'Another group',
    isOptional: true,
    help: `Offered are the newest ${MAX_OFFERED}. Type the name of any other.`,
  })
}

/** The group whose name was typed there, if one was; or the draft that says that there is none of it. */
export async function readOtherGroup(
  visit: OrganizationVisit,
  name: string,
): Promise<{ other: GroupRow | undefined } | { draft: Draft }> {
  const { services, actor, organization, form } = visit
  if (name === '') return { other: undefined }
  const other = may(visit, 'groups:read')
    ? await findGroupNamed(services, actor, organization.id, name)
    : undefined
  if (other !== undefined) return { other }
  return { draft: withFault(form, { field: 'group_name', text: 'There is no group of this name.' }) }
}
