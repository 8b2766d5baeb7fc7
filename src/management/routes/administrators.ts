import type { Administrator } from '../../database/queries/administrators.ts'
import { getAdministrator as readAdministrator } from '../../directory/administrator-reach.ts'
import * as directory from '../../directory/administrators.ts'
import { type Invitation, inviteAgain as invite } from '../../directory/invitations.ts'
import { presentAccess, toAccessPatch } from '../access.ts'
import { accountOf, type Call, organizationOf, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

export async function listAdministrators(call: Call): Promise<Reply> {
  const { services, actor } = call
  const listing = await directory.listAdministrators(services, actor, organizationOf(call), pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

export async function createAdministrator(call: Call): Promise<Reply> {
  const { name, email } = call.body
  const { administrator, invitation } = await directory.createAdministrator(
    call.services,
    call.actor,
    organizationOf(call),
    { name, email, access: toAccessPatch(call.body) },
  )
  return {
    status: 201,
    body: { ...present(administrator), ...presentInvitation(invitation) },
    location: pathOf(administrator),
  }
}

export async function getAdministrator(call: Call): Promise<Reply> {
  const { administrator } = await readAdministrator(call.services.db, call.actor, accountOf(call))
  return { status: 200, body: present(administrator) }
}

export async function updateAdministrator(call: Call): Promise<Reply> {
  const { name, status } = call.body
  const patch = { name, status, access: toAccessPatch(call.body) }
  const administrator = await directory.updateAdministrator(call.services, call.actor, accountOf(call), patch)
  return { status: 200, body: present(administrator) }
}

export async function deleteAdministrator(call: Call): Promise<Reply> {
  await directory.deleteAdministrator(call.services, call.actor, accountOf(call))
  return { status: 204 }
}

export async function inviteAgain(call: Call): Promise<Reply> {
  const removeSecondFactor = call.body?.remove_second_factor === true
  const { administrator, invitation } = await invite(call.services, call.actor, accountOf(call), {
    removeSecondFactor,
  })
  return {
    status: 201,
    body: { ...present(administrator), ...presentInvitation(invitation) },
    location: pathOf(administrator),
  }
}

function presentInvitation({ url }: Invitation) {
  return { invitation_url: url }
}

function pathOf({ organizationId, id }: Administrator): string {
  return `/organizations/${organizationId}/administrators/${id}`
}

function present(administrator: Administrator) {
  const { delegation: _forServiceAccounts, ...access } = presentAccess(administrator)
  return {
    id: administrator.id,
    organization_id: administrator.organizationId,
    kind: administrator.kind,
    name: administrator.name,
    email: administrator.email,
    status: administrator.status,
    ...access,
    has_second_factor: administrator.hasSecondFactor,
    invitation_expires_at: showTime(administrator.invitationExpiresAt),
    last_sign_in_at: showTime(administrator.lastSignInAt),
    created_at: showTime(administrator.createdAt),
    created_by: administrator.createdBy,
    updated_at: showTime(administrator.updatedAt),
  }
}
