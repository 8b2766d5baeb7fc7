import type { GroupHolder, Holder, HolderCounts } from '../../directory/holders.ts'
import { type Html, html, NOTHING } from '../html.ts'
import { may, type OrganizationVisit } from '../visit.ts'
import { WRENCH } from './icons.ts'
import { badge } from './state.ts'
import { table } from './table.ts'
import { count } from './time.ts'

/** Such as «3 service accounts and 1 administrator»; `nobody` where there are none. Pure. */
export function countHolders({ serviceAccounts, administrators }: HolderCounts, nobody: string): string {
  const parts = [
    ...(serviceAccounts > 0 ? [count(serviceAccounts, 'service account')] : []),
    ...(administrators > 0 ? [count(administrators, 'administrator')] : []),
  ]
  return parts.length === 0 ? nobody : parts.join(' and ')
}

/** The form of a verb that goes with `countHolders`: «nobody» and one are one. Pure. */
export function verb({ serviceAccounts, administrators }: HolderCounts, one: string, many: string): string {
  return serviceAccounts + administrators <= 1 ? one : many
}

/** Accounts that have something, with their state; `access` where that differs. */
export function holdersTable(
  visit: OrganizationVisit,
  label: string,
  holders: readonly (Holder & Partial<Pick<GroupHolder, 'access'>>)[],
): Html {
  const hasAccess = holders.some(({ access }) => access !== undefined)
  return table({
    label,
    isAligned: true,
    columns: [
      { title: 'Name' },
      { title: 'Kind' },
      ...(hasAccess ? [{ title: 'Access' }] : []),
      { title: 'State' },
    ],
    rows: holders.map(({ access, ...holder }) => [
      drawName(visit, holder),
      holder.kind === 'service_account' ? 'Service account' : 'Administrator',
      ...(hasAccess ? [access] : []),
      drawState(holder),
    ]),
  })
}

/** What somebody is told who may not read the names of all of them. */
export function unreadable(visit: OrganizationVisit, counts: HolderCounts): Html {
  const hidden = {
    serviceAccounts: may(visit, 'service_accounts:read') ? 0 : counts.serviceAccounts,
    administrators: may(visit, 'administrators:read') ? 0 : counts.administrators,
  }
  const words = countHolders(hidden, '')
  return words === '' ? NOTHING : html`<p class="muted">You may not see who they all are: ${words}.</p>`
}

function drawName({ home }: OrganizationVisit, { id, kind, name }: Holder): Html {
  const isServiceAccount = kind === 'service_account'
  const to = `${home}/${isServiceAccount ? 'service-accounts' : 'administrators'}/${id}`
  return html`<span class="named">${isServiceAccount && WRENCH}<a href="${to}">${name}</a></span>`
}

function drawState({ status }: Holder): Html {
  switch (status) {
    case 'active':
      return badge('good', 'active')
    case 'invited':
      return badge('notice', 'invited')
    case 'disabled':
    case 'deleted':
      return badge('off', status)
  }
}
