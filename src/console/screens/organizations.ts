import { listOrganizations as list } from '../../directory/organizations.ts'
import { html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable } from '../parts/copy.ts'
import { linkButton, pageHeader } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { table } from '../parts/table.ts'
import { time } from '../parts/time.ts'
import { may, type Reply, type SessionVisit } from '../visit.ts'
import { drawOrganizationState } from './organization-settings.ts'

/** Where operators choose in whose organization they act. */
export async function listOrganizations(visit: SessionVisit): Promise<Reply> {
  const { services, root, now, actor, session } = visit
  const canManage = may(visit, 'organizations:manage')
  const { items, nextCursor } = await list(services, actor, pageOf(visit))
  return {
    page: {
      title: 'Organizations',
      content: html`${pageHeader({
        title: 'Organizations',
        purpose: 'Your tenants. Open one to act in it; the trail there says that it was you.',
        action: canManage ? linkButton('New organization', `${root}/organizations/new`) : undefined,
      })}
${table({
  label: 'Organizations',
  columns: [{ title: 'Name' }, { title: 'Short name' }, { title: 'State' }, { title: 'Created' }],
  rows: items.map((organization) => [
    html`<a href="${root}/organizations/${organization.slug}/service-accounts">${organization.name}</a>${organization.id === session.record.organizationId && html` <span class="muted">yours</span>`}`,
    copyable(organization.slug, { label: 'the short name' }),
    drawOrganizationState(organization),
    time(organization.createdAt, now),
  ]),
})}
${paging(visit, nextCursor)}
${apiDisclosure(services.issuer, [
  { title: 'List organizations', method: 'GET', path: '/organizations' },
  ...(canManage
    ? [{ title: 'Create one', method: 'POST', path: '/organizations', body: { slug: 'acme', name: 'Acme' } }]
    : []),
])}`,
    },
  }
}
