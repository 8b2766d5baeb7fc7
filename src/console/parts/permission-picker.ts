import { type ListedPermission, listPermissions } from '../../directory/permissions.ts'
import { type Draft, ticked } from '../forms.ts'
import { type Html, html } from '../html.ts'
import type { OrganizationVisit } from '../visit.ts'
import { readAll } from './paging.ts'

/** One permission of one resource server. */
type Permission = { resourceServerId: string; permission: string }

/** The module that a page with a picker names. */
export const PICKER_SCRIPT = 'picker.js'
/** From here on one looks for a permission rather than reads all of them. */
const MANY = 20
/** As many as the API takes. */
const MAX_PICKED = 500
/** Neither an id nor a scope token has a space (RFC 6749 §3.3). */
const VALUE = /^(rs_[0-9a-hjkmnp-tv-z]{36}) ([!#-[\]-~]{1,100})$/

/** Everything that accounts of the organization can be given, by resource server; administering comes last. */
export async function readPermissions(visit: OrganizationVisit): Promise<ListedPermission[]> {
  const { services, actor, organization } = visit
  const all = await readAll((page) => listPermissions(services, actor, organization.id, page))
  const isOwn = (entry: ListedPermission) => isOfManagement(visit, entry)
  return [...all.filter((entry) => !isOwn(entry)), ...all.filter(isOwn)]
}

/** Those of the management API, by which this server is administered. */
export function isOfManagement(
  { services }: OrganizationVisit,
  { resourceServerIdentifier }: Pick<ListedPermission, 'resourceServerIdentifier'>,
): boolean {
  return resourceServerIdentifier === `${services.issuer}/api/v1`
}

/** Permissions with the resource server that defines them, in its order. Pure. */
export function byResourceServer<Entry extends { resourceServerId: string }>(
  permissions: readonly Entry[],
): [first: Entry, all: Entry[]][] {
  const groups = new Map<string, [Entry, Entry[]]>()
  for (const entry of permissions) {
    const group = groups.get(entry.resourceServerId)
    if (group === undefined) groups.set(entry.resourceServerId, [entry, [entry]])
    else group[1].push(entry)
  }
  return [...groups.values()]
}

/** Reads what was ticked. */
export function pickedPermissions() {
  return ticked()
    .max(MAX_PICKED, `This is more than ${MAX_PICKED} permissions.`)
    .transform((values, context) => {
      const permissions = values.flatMap((value) => toPermission(value) ?? [])
      if (permissions.length < values.length)
        context.addIssue({ code: 'custom', message: 'Something was chosen that was not offered.' })
      return permissions
    })
}

/** What a box of the picker sends. */
export function pickValue({ resourceServerId, permission }: Permission): string {
  return `${resourceServerId} ${permission}`
}

function toPermission(value: string): Permission | undefined {
  const [, resourceServerId, permission] = VALUE.exec(value) ?? []
  if (resourceServerId === undefined || permission === undefined) return undefined
  return { resourceServerId, permission }
}

/**
 * Boxes for all permissions, by resource server. One that the person does not have is there and says why it cannot
 * be chosen; where it is given already, it can be taken away.
 */
export function permissionPicker(
  draft: Draft,
  field: { name: string; label: string; help: string },
  { permissions, given }: { permissions: readonly ListedPermission[]; given: readonly Permission[] },
): Html {
  const { name, label, help } = field
  const chosen = new Set(draft.values(name))
  const before = new Set(given.map(pickValue))
  const fault = draft.faults.find((each) => each.field === name)?.text
  return html`<fieldset class="field options picker${fault !== undefined && ' faulty'}" id="${name}" tabindex="-1">
  <legend>${label}</legend>
  <p class="help">${help}</p>
  ${fault !== undefined && html`<p class="fault">${fault}</p>`}
  ${permissions.length > MANY && html`<input type="search" hidden placeholder="Name or description" aria-label="Look for a permission" autocomplete="off">`}
  ${byResourceServer(permissions).map(
    ([{ resourceServerName, resourceServerIdentifier }, entries]) => html`<fieldset class="picker-group">
    <legend><span>${resourceServerName}</span><code>${resourceServerIdentifier}</code></legend>
    <div class="picker-options">${entries.map((entry) => drawOption(name, entry, { chosen, before }))}</div>
  </fieldset>`,
  )}
</fieldset>`
}

function drawOption(
  field: string,
  { resourceServerId, name, description, grantable }: ListedPermission,
  { chosen, before }: { chosen: ReadonlySet<string>; before: ReadonlySet<string> },
): Html {
  const value = pickValue({ resourceServerId, permission: name })
  const isDisabled = !grantable && !before.has(value)
  return html`<label class="option"><input type="checkbox" name="${field}" value="${value}"${chosen.has(value) && html` checked`}${isDisabled && html` disabled`}>
  <span><code>${name}</code><span class="help">${explain(description, { grantable, isDisabled })}</span></span></label>`
}

function explain(
  description: string,
  { grantable, isDisabled }: { grantable: boolean; isDisabled: boolean },
) {
  if (isDisabled)
    return html`${description}${description !== '' && '. '}<em>You do not have it yourself.</em>`
  if (!grantable)
    return html`${description}${description !== '' && '. '}<em>You can take it away, but not give it back.</em>`
  return description
}
