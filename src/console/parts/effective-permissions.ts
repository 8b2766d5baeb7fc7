import type { ExplainedPermission } from '../../database/queries/access.ts'
import { type Html, html, join } from '../html.ts'
import { may, type OrganizationVisit } from '../visit.ts'
import { table } from './table.ts'

/** What an account may do in the end, and for each permission what gives it. */
export function effectivePermissionsTable(
  visit: OrganizationVisit,
  permissions: readonly ExplainedPermission[],
): Html {
  return table({
    label: 'What it may do',
    columns: [{ title: 'Permission' }, { title: 'Resource server' }, { title: 'Because of' }],
    rows: permissions.map(({ permission, resourceServerIdentifier, isDirect, roles }) => [
      html`<code>${permission}</code>`,
      html`<code>${resourceServerIdentifier}</code>`,
      commaSeparated([
        ...roles.map((role) => roleLink(visit, role)),
        ...(isDirect ? [html`given directly`] : []),
      ]),
    ]),
  })
}

/** A role by its name, as a link for who may look at it. */
export function roleLink(visit: OrganizationVisit, { id, name }: { id: string; name: string }): Html {
  return may(visit, 'roles:read') ? html`<a href="${visit.home}/roles/${id}">${name}</a>` : html`${name}`
}

/** Several in one line. Pure. */
export function commaSeparated(list: readonly Html[]): Html {
  return join(list.map((item, index) => html`${index > 0 && ', '}${item}`))
}
