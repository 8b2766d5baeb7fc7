import type { GroupRow } from '../../database/tables.ts'
import { explainServiceAccount } from '../../directory/effective-permissions.ts'
import { listGroups } from '../../directory/groups.ts'
import type { ListedPermission } from '../../directory/permissions.ts'
import type { AccountPath } from '../../directory/service-account-reach.ts'
import { type Draft, refusedDraft } from '../forms.ts'
import { may, type OrganizationVisit } from '../visit.ts'
import { readAll } from './paging.ts'

/** The groups that a person may know of, by name. */
export async function readGroups(visit: OrganizationVisit): Promise<GroupRow[]> {
  const { services, actor, organization } = visit
  if (!may(visit, 'groups:read')) return []
  const groups = await readAll((request) => listGroups(services, actor, organization.id, request))
  return groups.sort((one, other) => one.name.localeCompare(other.name))
}

/** Everything that an account may do and why. */
export function readEffective({ services, actor }: OrganizationVisit, path: AccountPath) {
  return readAll((request) => explainServiceAccount(services, actor, path, request))
}

/** Those of the management API, which nobody does for somebody else. */
export function isOfManagement(
  { services }: OrganizationVisit,
  { resourceServerIdentifier }: Pick<ListedPermission, 'resourceServerIdentifier'>,
): boolean {
  return resourceServerIdentifier === `${services.issuer}/api/v1`
}

/**
 * The draft of a form by which somebody gives something: what the rule has refused stands beside the field, with
 * names in place of the ids in it.
 */
export function refusedGift(
  error: unknown,
  { form }: OrganizationVisit,
  options: {
    field: string
    names: Iterable<{ id: string; name: string }>
    fields?: Readonly<Record<string, string>>
  },
): Draft {
  const draft = refusedDraft(error, form, options.fields)
  if (draft.problem === undefined) return draft
  let { text } = draft.problem
  for (const { id, name } of options.names) text = text.replaceAll(id, `«${name}»`)
  return { ...draft, faults: [{ field: options.field, text }], problem: undefined }
}
