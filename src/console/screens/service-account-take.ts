import type { Access, DirectPermission, ExplainedPermission } from '../../database/queries/access.ts'
import type { AccessPatch } from '../../directory/access.ts'
import { explainServiceAccount } from '../../directory/effective-permissions.ts'
import { nameGroups } from '../../directory/groups.ts'
import { getAccountHealth, getLiveTokenCount } from '../../directory/service-account-health.ts'
import { getServiceAccount } from '../../directory/service-account-reach.ts'
import { changeAccess } from '../../directory/service-accounts.ts'
import { type Draft, freshDraft, refused, refusedDraft } from '../forms.ts'
import { type Content, html } from '../html.ts'
import { closedPage, dangerPage } from '../parts/danger.ts'
import { tokensFrom } from '../parts/live-tokens.ts'
import { readAll } from '../parts/paging.ts'
import { pickValue, readPermissions } from '../parts/permission-picker.ts'
import { count } from '../parts/time.ts'
import { readQuery } from '../query.ts'
import { may, type OrganizationVisit, type Page, type Reply } from '../visit.ts'
import { accountPath, permissionsOf } from './service-account.ts'

/** One thing that an account has and that can be taken from it, whatever else it has by then. */
export type Thing =
  | { kind: 'role' | 'group'; id: string }
  | ({ kind: 'permission' | 'lent' } & DirectPermission)
  | { kind: 'subject'; subject: string }
  | { kind: 'groups' | 'delegation' }

/** Longer than any thing in words. */
const MAX_THING = 400
/** Permissions that a consequence names; beyond, their number says enough. */
const MAX_NAMED = 6

/** A thing as the address of its page names it. None of its parts has a space. Pure. */
export function thingValue(thing: Thing): string {
  switch (thing.kind) {
    case 'role':
    case 'group':
      return `${thing.kind} ${thing.id}`
    case 'permission':
    case 'lent':
      return `${thing.kind} ${pickValue(thing)}`
    case 'subject':
      return `subject ${thing.subject}`
    case 'groups':
    case 'delegation':
      return thing.kind
  }
}

export async function askToTake(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, freshDraft()) }
}

/** Takes one thing; when it is gone already, nothing happens. */
export async function takeAccess(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, form } = visit
  const { account } = await getServiceAccount(services.db, actor, accountPath(visit))
  const thing = findThing(visit, account)
  if (thing === undefined) return { page: await draw(visit, freshDraft()) }
  try {
    const words = await nameThing(visit, thing)
    await changeAccess(services, actor, accountPath(visit), (held) => without(held, thing))
    return { to: permissionsOf(visit), done: `${account.name} does not have ${words} any more.` }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await draw(visit, draft), draft)
  }
}

/** What the address names, if the account has it. */
function findThing({ query }: OrganizationVisit, access: Access): Thing | undefined {
  const value = readQuery(query, 'thing', MAX_THING)
  const { roleIds, groupAccess, permissions, groupsAdministrator, delegation } = access
  const things: Thing[] = [
    ...roleIds.map((id) => ({ kind: 'role' as const, id })),
    ...groupAccess.map(({ groupId }) => ({ kind: 'group' as const, id: groupId })),
    ...permissions.map((entry) => ({ kind: 'permission' as const, ...entry })),
    ...(groupsAdministrator === null ? [] : [{ kind: 'groups' as const }]),
    ...(delegation === null ? [] : [{ kind: 'delegation' as const }]),
    ...(delegation?.subjects ?? []).map((subject) => ({ kind: 'subject' as const, subject })),
    ...(delegation?.permissions ?? []).map((entry) => ({ kind: 'lent' as const, ...entry })),
  ]
  return things.find((thing) => thingValue(thing) === value)
}

/** What an account has without a thing. Without anybody to act for, or anything to do for them, it acts for nobody. Pure. */
export function without(held: Access, thing: Thing): Partial<AccessPatch> {
  const value = thingValue(thing)
  const isOther = (entry: DirectPermission, kind: 'permission' | 'lent') =>
    thingValue({ kind, ...entry }) !== value
  switch (thing.kind) {
    case 'role':
      return { roleIds: held.roleIds.filter((id) => id !== thing.id) }
    case 'group':
      return { groupAccess: held.groupAccess.filter(({ groupId }) => groupId !== thing.id) }
    case 'permission':
      return { permissions: held.permissions.filter((entry) => isOther(entry, 'permission')) }
    case 'groups':
      return { groupsAdministrator: null }
    case 'delegation':
      return { delegation: null }
    case 'subject': {
      const subjects = (held.delegation?.subjects ?? []).filter((each) => each !== thing.subject)
      return { delegation: subjects.length === 0 ? null : { subjects } }
    }
    case 'lent': {
      const permissions = (held.delegation?.permissions ?? []).filter((entry) => isOther(entry, 'lent'))
      return { delegation: permissions.length === 0 ? null : { permissions } }
    }
  }
}

async function draw(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, actor, formToken } = visit
  const { account } = await getServiceAccount(services.db, actor, accountPath(visit))
  const thing = findThing(visit, account)
  const title = 'Take access'
  if (thing === undefined) {
    return {
      title,
      content: closedPage({
        title: `${account.name} does not have this`,
        reason: 'It was taken already, perhaps by somebody else meanwhile. Nothing was changed now.',
        back: { label: 'Back to its permissions', to: permissionsOf(visit) },
      }),
    }
  }
  const live = await getLiveTokenCount(services, actor, accountPath(visit))
  return {
    title,
    content: dangerPage({
      title: html`Take ${await nameThing(visit, thing)} from ${account.name}?`,
      consequences: [
        ...(await describeLoss(visit, account, thing)),
        live.tokens === 0
          ? 'It has no live tokens now.'
          : `It has ${tokensFrom(live)}: introspection tells ${live.tokens === 1 ? 'it' : 'them'} without this at once. Whoever reads a JWT without asking believes what it says until it expires.`,
      ],
      act: ACTS[thing.kind],
      action: `${permissionsOf(visit)}/take?${new URLSearchParams({ thing: thingValue(thing) })}`,
      formToken,
      back: { label: 'Leave it', to: permissionsOf(visit) },
      draft,
    }),
  }
}

const ACTS = {
  role: 'Take role',
  group: 'Take access',
  groups: 'Take access',
  permission: 'Take permission',
  delegation: 'Take delegation',
  subject: 'Take end users',
  lent: 'Take permission',
} as const

/** A thing in words; groups by name for those alone who may read groups. */
async function nameThing(visit: OrganizationVisit, thing: Thing): Promise<string> {
  switch (thing.kind) {
    case 'role': {
      const { roles } = await getAccountHealth(visit.services, visit.actor, accountPath(visit))
      return `the role ${roles.find(({ id }) => id === thing.id)?.name ?? thing.id}`
    }
    case 'group': {
      if (!may(visit, 'groups:read')) return `the group ${thing.id}`
      const { services, actor, organization } = visit
      const [group] = await nameGroups(services, actor, organization.id, [thing.id])
      return `the group ${group?.name ?? thing.id}`
    }
    case 'permission':
      return `the permission ${thing.permission}`
    case 'groups':
      return 'access to all groups'
    case 'delegation':
      return 'its delegation'
    case 'subject':
      return `the end users ${thing.subject}`
    case 'lent':
      return `the lent permission ${thing.permission}`
  }
}

/** What it cannot do afterwards. */
async function describeLoss(visit: OrganizationVisit, access: Access, thing: Thing): Promise<Content[]> {
  const { groupAccess, groupsAdministrator, delegation } = access
  switch (thing.kind) {
    case 'role':
      return [await describeRoleLoss(visit, thing.id)]
    case 'permission':
      return [await describePermissionLoss(visit, thing)]
    case 'group': {
      const level = groupAccess.find(({ groupId }) => groupId === thing.id)?.access
      return [
        groupsAdministrator === null
          ? `It is not ${level} of this group any more, and does not reach it.`
          : `It is not ${level} of this group by name any more, but still ${groupsAdministrator} of all groups.`,
      ]
    }
    case 'groups':
      return [
        `It is not ${groupsAdministrator} of all groups any more. By name it reaches ${groupAccess.length === 0 ? 'none' : count(groupAccess.length, 'group')}.`,
      ]
    case 'delegation':
      return [
        `It acts for nobody but itself any more: ${count(delegation?.subjects.length ?? 0, 'entry', 'entries')} of end users and ${count(delegation?.permissions.length ?? 0, 'lent permission')} go. Tokens that it has in their names are good for nothing from now on.`,
      ]
    case 'subject':
      return [
        delegation?.subjects.length === 1
          ? 'It is the only entry: without it the account acts for nobody, and what was lent to it goes, too.'
          : 'It does not act for them any more. Tokens that it has in their names are good for nothing from now on, unless another entry fits them.',
      ]
    case 'lent':
      return [
        delegation?.permissions.length === 1
          ? 'It is the only one: without it the account acts for nobody, and its end users go, too.'
          : 'It cannot do this for its end users any more. What it may do for itself stays.',
      ]
  }
}

async function describeRoleLoss(visit: OrganizationVisit, roleId: string): Promise<Content> {
  const effective = await readEffective(visit)
  const lost = effective.filter(({ isDirect, roles }) => !isDirect && roles.every(({ id }) => id === roleId))
  if (lost.length === 0)
    return 'All that this role allows it has in another way, too. It loses only the role’s name, which resource servers see.'
  return html`It loses ${count(lost.length, 'permission')} that nothing else gives it: ${nameSome(lost)}.`
}

async function describePermissionLoss(visit: OrganizationVisit, thing: DirectPermission): Promise<Content> {
  const [effective, defined] = await Promise.all([readEffective(visit), readPermissions(visit)])
  const { roles } = effective.find((entry) => pickValue(entry) === pickValue(thing)) ?? { roles: [] }
  if (roles.length > 0)
    return `It can do the same as before: ${roles.map(({ name }) => name).join(', ')} ${roles.length === 1 ? 'gives' : 'give'} it this permission as well.`
  const server = defined.find(({ resourceServerId }) => resourceServerId === thing.resourceServerId)
  return html`It loses 1 permission, <code>${thing.permission}</code> at ${server?.resourceServerName}. Nothing else gives it.`
}

/** Everything that the account may do, and why. */
function readEffective(visit: OrganizationVisit): Promise<ExplainedPermission[]> {
  const { services, actor } = visit
  return readAll((page) => explainServiceAccount(services, actor, accountPath(visit), page))
}

function nameSome(permissions: readonly ExplainedPermission[]): Content {
  const named = permissions.slice(0, MAX_NAMED).map(({ permission }) => permission)
  const more = permissions.length - named.length
  return html`<code>${named.join(', ')}</code>${more > 0 && ` and ${more} more`}`
}
