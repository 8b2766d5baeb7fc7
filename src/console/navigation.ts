import type { ManagementPermission } from '../directory/management-permissions.ts'

/** One line of the sidebar. */
export type NavigationItem = {
  label: string
  /** Below the organization's pages, or the console's root; also what makes it the current place. */
  path: string
  /** Who does not have it does not see the line. */
  permission: ManagementPermission
}

/** The sidebar, in order. A new screen adds its line here. */
export const NAVIGATION: readonly NavigationItem[] = [
  { label: 'Service accounts', path: '/service-accounts', permission: 'service_accounts:read' },
  { label: 'Roles', path: '/roles', permission: 'roles:read' },
  { label: 'Groups', path: '/groups', permission: 'groups:read' },
  { label: 'Administrators', path: '/administrators', permission: 'administrators:read' },
  { label: 'Audit trail', path: '/audit', permission: 'audit:read' },
  { label: 'Try it', path: '/try-it', permission: 'service_accounts:read' },
  { label: 'Settings', path: '/settings', permission: 'organizations:read' },
]

/** What operators see besides, below it. */
export const PLATFORM_NAVIGATION: readonly NavigationItem[] = [
  { label: 'Organizations', path: '/organizations', permission: 'organizations:read' },
  { label: 'Resource servers', path: '/resource-servers', permission: 'resource_servers:read' },
  { label: 'Signing keys', path: '/signing-keys', permission: 'signing_keys:read' },
]
