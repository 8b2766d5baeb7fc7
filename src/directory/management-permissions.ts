/** The permissions of the management API: reading needs `…:read`, changing `…:manage`. */
export type ManagementPermission = (typeof MANAGEMENT_PERMISSIONS)[number]['name']

/** The permission that every resource server has by itself: whoever holds it may introspect its tokens. */
export const INTROSPECT_PERMISSION = {
  name: 'tokens:introspect',
  description: 'Ask whether a token of this resource server holds',
} as const

/** Whoever holds this in the operator organization can set everything else right. */
export const OWNER_PERMISSION = 'organizations:manage'

/** What the management API defines as a resource server. A newer version adds its own at its first start. */
export const MANAGEMENT_PERMISSIONS = [
  { name: 'organizations:read', description: 'Read organizations and their settings' },
  { name: 'organizations:manage', description: 'Create, change, disable and delete organizations' },
  { name: 'resource_servers:read', description: 'Read resource servers and their permissions' },
  { name: 'resource_servers:manage', description: 'Register, change and delete resource servers' },
  { name: 'signing_keys:read', description: 'Read the public signing keys and their states' },
  { name: 'signing_keys:manage', description: 'Rotate and revoke signing keys' },
  { name: 'service_accounts:read', description: 'Read service accounts, their keys and their tokens' },
  { name: 'service_accounts:manage', description: 'Create, change and delete service accounts and keys' },
  { name: 'administrators:read', description: 'Read the people who administer' },
  { name: 'administrators:manage', description: 'Invite, change and remove the people who administer' },
  { name: 'roles:read', description: 'Read roles and what they allow' },
  { name: 'roles:manage', description: 'Create, change and delete roles' },
  { name: 'groups:read', description: 'Read groups' },
  { name: 'groups:manage', description: 'Create, change and delete groups' },
  { name: 'audit:read', description: 'Read the audit trail' },
  INTROSPECT_PERMISSION,
] as const
