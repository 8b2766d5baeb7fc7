import { listOrganizations as list } from '../../directory/organizations.ts'
import { html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable } from '../parts/copy.ts'
import { pageHeader } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { badge } from '../parts/state.ts'
import { table } from '../parts/table.ts'
import { time } from '../parts/time.ts'
import type { Reply, SessionVisit } from '../visit.ts'

/** Where operators choose in whose organization they act. */
export async function listOrganizations(visit: SessionVisit): Promise<Reply> {
  const { services, root, now, actor, session } = visit
  const { items, nextCursor } = await list(services, actor, pageOf(visit))
  return {
    page: {
      title: 'Organizations',
      content: html`${pageHeader({
        title: 'Organizations',
        purpose: 'Your tenants. Open one to act in it; the trail there says that it was you.',
      })}
${table({
  label: 'Organizations',
  columns: [{ title: 'Name' }, { title: 'Short name' }, { title: 'State' }, { title: 'Created' }],
  rows: items.map((organization) => [
    html`<a href="${root}/organizations/${organization.slug}/service-accounts">${organization.name}</a>${organization.id === session.record.organizationId && html` <span class="muted">yours</span>`}`,
    copyable(organization.slug, { label: 'the short name' }),
    organization.status === 'active' ? badge('good', 'active') : badge('off', organization.status),
    time(organization.createdAt, now),
  ]),
})}
${paging(visit, nextCursor)}
${apiDisclosure(services.issuer, [{ title: 'List organizations', method: 'GET', path: '/organizations' }])}`,
    },
  }
}
