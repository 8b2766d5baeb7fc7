import type { GroupRow } from '../../database/tables.ts'
import * as directory from '../../directory/groups.ts'
import { type Call, organizationOf, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

export async function listGroups(call: Call): Promise<Reply> {
  const { services, actor } = call
  const listing = await directory.listGroups(services, actor, organizationOf(call), pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

export async function createGroup(call: Call): Promise<Reply> {
  const { name, description } = call.body
  const request = { name, description: description ?? '' }
  const group = await directory.createGroup(call.services, call.actor, organizationOf(call), request)
  return {
    status: 201,
    body: present(group),
    location: `/organizations/${group.organizationId}/groups/${group.id}`,
  }
}

export async function getGroup(call: Call): Promise<Reply> {
  return { status: 200, body: present(await directory.getGroup(call.services, call.actor, groupOf(call))) }
}

export async function updateGroup(call: Call): Promise<Reply> {
  const { name, description } = call.body
  const group = await directory.updateGroup(call.services, call.actor, groupOf(call), { name, description })
  return { status: 200, body: present(group) }
}

export async function deleteGroup(call: Call): Promise<Reply> {
  await directory.deleteGroup(call.services, call.actor, groupOf(call))
  return { status: 204 }
}

function present(group: GroupRow) {
  return {
    id: group.id,
    organization_id: group.organizationId,
    name: group.name,
    description: group.description,
    created_at: showTime(group.createdAt),
    created_by: group.createdBy,
    updated_at: showTime(group.updatedAt),
  }
}

function groupOf(call: Call): directory.GroupPath {
  return { organizationId: organizationOf(call), groupId: call.params.grp as string }
}
