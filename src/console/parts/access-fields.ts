import { z } from 'zod'
import type { Access } from '../../database/queries/access.ts'
import type { GroupAccessLevel, GroupRow } from '../../database/tables.ts'
import { type GrantJudge, readGrantJudge } from '../../directory/granting.ts'
import type { ListedPermission } from '../../directory/permissions.ts'
import { choice, type Draft, line, readForm, ticked } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { may, type OrganizationVisit } from '../visit.ts'
import { type Option, optionList, selectField } from './form.ts'
import { type OfferedGroups, otherGroupField, readGroups, readOtherGroup } from './groups.ts'
import { permissionPicker, pickedPermissions, pickValue, readPermissions } from './permission-picker.ts'
import { readRoleOptions } from './role-options.ts'

/** What an account of either kind is given. */
type GivenAccess = Pick<Access, 'permissions' | 'roleIds' | 'groupAccess' | 'groupsAdministrator'>

/** What the form offers, and what the account has before it. */
type AccessOptions = {
  given: GivenAccess
  roles: readonly Option[]
  permissions: readonly ListedPermission[]
  /** undefined for who may not know of groups. */
  offered: OfferedGroups | undefined
  judge: GrantJudge
}

const GROUP_VALUE = /^(grp_[0-9a-hjkmnp-tv-z]{36}) (viewer|manager)$/

const LEVELS = ['viewer', 'manager'] as const satisfies readonly GroupAccessLevel[]

/** Roles, groups and direct permissions of an account. */
const ACCESS_FIELDS = {
  role_ids: ticked(),
  groups_administrator: choice(['none', 'viewer', 'manager'], 'Choose one.'),
  group_access: ticked().transform((values, context) => {
    const chosen = values.filter((value) => value !== '')
    const entries = chosen.flatMap((value) => toGroupAccess(value) ?? [])
    if (entries.length < chosen.length)
      context.addIssue({ code: 'custom', message: 'Something was chosen that was not offered.' })
    return entries
  }),
  group_name: line({ max: 100 }),
  group_name_access: ticked()
    .transform(([level = 'viewer']) => level)
    .pipe(z.enum(LEVELS, 'Choose one.')),
  permissions: pickedPermissions(),
}

/** The values that the form begins with. Pure. */
export function accessValues(access: GivenAccess): Record<string, string | string[]> {
  return {
    role_ids: access.roleIds,
    groups_administrator: access.groupsAdministrator ?? 'none',
    group_access: access.groupAccess.map(({ groupId, access: level }) => `${groupId} ${level}`),
    permissions: access.permissions.map(pickValue),
    group_name_access: 'viewer',
  }
}

/**
 * What was chosen, as the directory takes it, or the draft that says what to mend. Who may not know of groups leaves access
 * to them as it is.
 */
export async function readAccess(
  visit: OrganizationVisit,
  given: GivenAccess,
): Promise<{ access: GivenAccess } | { draft: Draft }> {
  const read = readForm(visit.form, ACCESS_FIELDS)
  if ('draft' in read) return read
  const { role_ids, groups_administrator, group_access, permissions, ...more } = read.values
  const named = await readOtherGroup(visit, more.group_name)
  if ('draft' in named) return named
  const { other } = named
  const groupAccess = [
    ...group_access.filter(({ groupId }) => groupId !== other?.id),
    ...(other === undefined ? [] : [{ groupId: other.id, access: more.group_name_access }]),
  ]
  return {
    access: {
      roleIds: role_ids,
      groupsAdministrator: groups_administrator === 'none' ? null : groups_administrator,
      groupAccess: may(visit, 'groups:read') ? groupAccess : given.groupAccess,
      permissions,
    },
  }
}

export async function readAccessOptions(
  visit: OrganizationVisit,
  given: GivenAccess,
): Promise<AccessOptions> {
  const { services, actor } = visit
  const groupIds = given.groupAccess.map(({ groupId }) => groupId)
  const [roles, permissions, offered, judge] = await Promise.all([
    readRoleOptions(visit, given.roleIds),
    readPermissions(visit),
    readGroups(visit, groupIds),
    readGrantJudge(services.db, actor),
  ])
  return { given, roles, permissions, offered, judge }
}

/** The fields; everything that the person may not give is there, and says so. */
export function accessFields(draft: Draft, options: AccessOptions): Html {
  const { roles, permissions, given } = options
  const hasDirect = given.permissions.length > 0 || draft.values('permissions').length > 0
  return html`${optionList(draft, {
    name: 'role_ids',
    label: 'Roles',
    help: 'What it may do, now and as the roles change.',
    kind: 'checkbox',
    options: roles,
  })}
${selectField(draft, {
  name: 'groups_administrator',
  label: 'Groups administrator',
  help: 'Reaches all groups, also those to come.',
  options: administratorOptions(options),
})}
${drawGroups(draft, options)}
<details class="more"${hasDirect && html` open`}><summary>Direct permissions, besides those of roles</summary>
${permissionPicker(
  draft,
  { name: 'permissions', label: 'Permissions', help: 'For what no role is worth making.' },
  { permissions, given: given.permissions },
)}
</details>`
}

function administratorOptions({ given, judge }: AccessOptions) {
  const levels = LEVELS.filter(
    (level) => judge.groupsAdministrator(level) || given.groupsAdministrator === level,
  )
  return [
    { value: 'none', label: 'no' },
    ...levels.map((level) => ({ value: level, label: `${level} of all groups` })),
  ]
}

function drawGroups(draft: Draft, options: AccessOptions): Html {
  const { offered } = options
  const fault = draft.faults.find(({ field }) => field === 'group_access')?.text
  if (offered === undefined)
    return html`<div class="field"><p class="help">Access to groups stays as it is: you may not see which there are.</p></div>`
  const { groups, hasMore } = offered
  if (groups.length === 0) return html`<div class="field"><p class="help">There are no groups yet.</p></div>`
  return html`<fieldset class="field${fault !== undefined && ' faulty'}" id="group_access" tabindex="-1">
  <legend>Groups</legend>
  <p class="help">A manager is also a viewer.</p>
  ${fault !== undefined && html`<p class="fault">${fault}</p>`}
  <ul class="group-rows">${groups.map((group) => drawGroup(draft, options, group))}</ul>
</fieldset>
${hasMore && html`${otherGroupField(draft)}${selectField(draft, { name: 'group_name_access', label: 'Access to it', options: LEVELS.map((level) => ({ value: level, label: level })) })}`}`
}

function drawGroup(draft: Draft, { given, judge }: AccessOptions, { id, name }: GroupRow): Html {
  const before = given.groupAccess.find(({ groupId }) => groupId === id)?.access
  const chosen = draft.values('group_access')
  const levels = LEVELS.filter(
    (level) => judge.groupAccess({ groupId: id, access: level }) || level === before,
  )
  return html`<li><label for="group-${id}">${name}</label>
  <select id="group-${id}" name="group_access">
    <option value="">${levels.length === 0 ? 'not yours to give' : 'no access'}</option>
    ${levels.map((level) => {
      const value = `${id} ${level}`
      return html`<option value="${value}"${chosen.includes(value) && html` selected`}>${level}</option>`
    })}
  </select></li>`
}

function toGroupAccess(value: string): GivenAccess['groupAccess'][number] | undefined {
  const [, groupId, access] = GROUP_VALUE.exec(value) ?? []
  if (groupId === undefined) return undefined
  return { groupId, access: access as GroupAccessLevel }
}
