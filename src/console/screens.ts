import { showAdministrator } from './screens/administrator.ts'
import {
  editAdministratorAccess,
  saveAdministratorAccess,
  showAdministratorAccess,
} from './screens/administrator-access.ts'
import {
  askToDeleteAdministrator,
  askToDisableAdministrator,
  deleteAdministrator,
  disableAdministrator,
  enableAdministrator,
} from './screens/administrator-end.ts'
import { askToReset, resetAdministrator } from './screens/administrator-reset.ts'
import {
  endAdministratorSession,
  endAdministratorSessions,
  showAdministratorSessions,
} from './screens/administrator-sessions.ts'
import { listAdministrators } from './screens/administrators.ts'
import { exportAudit, showAudit } from './screens/audit.ts'
import { askForCode, giveCode } from './screens/code.ts'
import { editAdministrator, saveAdministrator } from './screens/edit-administrator.ts'
import { createGroup, editGroup, saveGroup, showNewGroup } from './screens/edit-group.ts'
import { createRole, editRole, saveRole, showNewRole } from './screens/edit-role.ts'
import { editServiceAccount, saveServiceAccount } from './screens/edit-service-account.ts'
import { askToDeleteGroup, deleteGroup, showGroup } from './screens/group.ts'
import { listGroups } from './screens/groups.ts'
import { goHome } from './screens/home.ts'
import { acceptInvitation, askForInvitation, showInvitation } from './screens/invitation.ts'
import { saveKey, showKey } from './screens/key.ts'
import { askToDeleteKey, askToDisableKey, deleteKey, disableKey, enableKey } from './screens/key-end.ts'
import { listKeys } from './screens/keys.ts'
import { inviteAdministrator, showNewAdministrator } from './screens/new-administrator.ts'
import {
  chooseKey,
  createApiToken,
  generateKey,
  registerFromBrowser,
  registerKey,
  showBrowser,
  showGenerate,
  showNewApiToken,
  showRegister,
} from './screens/new-key.ts'
import { createServiceAccount, showNewServiceAccount } from './screens/new-service-account.ts'
import { listOrganizations } from './screens/organizations.ts'
import { changePassword, showPassword } from './screens/password.ts'
import { replaceRecoveryCodes, showRecoveryCodes } from './screens/recovery-codes.ts'
import { askToDeleteRole, deleteRole, showRole } from './screens/role.ts'
import { listPermissions, listRoles } from './screens/roles.ts'
import {
  askForRemoval,
  beginSecondFactor,
  confirmSecondFactor,
  removeSecondFactor,
  showSecondFactor,
} from './screens/second-factor.ts'
import { endOtherSessions, endSession, showSecurity } from './screens/security.ts'
import { showServiceAccount } from './screens/service-account.ts'
import { giveAccess, showAccess } from './screens/service-account-access.ts'
import { showAccountAudit } from './screens/service-account-audit.ts'
import {
  askToDelete,
  askToDisable,
  deleteAccount,
  disableAccount,
  enableAccount,
} from './screens/service-account-end.ts'
import { delegate, givePermissions, showDelegation, showGive } from './screens/service-account-gifts.ts'
import { askToTake, takeAccess } from './screens/service-account-take.ts'
import {
  askToRevokeAll,
  askToRevokeToken,
  listTokens,
  revokeAll,
  revokeToken,
} from './screens/service-account-tokens.ts'
import { listServiceAccounts } from './screens/service-accounts.ts'
import { askForSetUp, completeSetUp, showSetUp } from './screens/set-up.ts'
import { askForSignIn, signIn } from './screens/sign-in.ts'
import { signOut } from './screens/sign-out.ts'
import { askForOrganization, beginSingleSignOn } from './screens/single-sign-on.ts'
import { explainAssertion, showTryIt } from './screens/try-it.ts'
import type { PlatformScreen, Route, Screen, SessionVisit, Visit } from './visit.ts'

/** Before somebody has signed in. */
export const ENTRANCE: readonly Route<Visit>[] = [
  ['GET', '/set-up', askForSetUp],
  ['POST', '/set-up', showSetUp],
  ['POST', '/set-up/complete', completeSetUp],
  ['GET', '/invitation', askForInvitation],
  ['POST', '/invitation', showInvitation],
  ['POST', '/invitation/accept', acceptInvitation],
  ['GET', '/sign-in', askForSignIn],
  ['POST', '/sign-in', signIn],
  ['GET', '/sign-in/code', askForCode],
  ['POST', '/sign-in/code', giveCode],
  ['GET', '/sign-in/single-sign-on', askForOrganization],
  ['POST', '/sign-in/single-sign-on', beginSingleSignOn],
]

/** For everybody who is signed in: their own matters. */
export const OWN: readonly Route<SessionVisit>[] = [
  ['GET', '/', goHome],
  ['POST', '/sign-out', signOut],
  ['GET', '/security', showSecurity],
  ['POST', '/security/sessions/end-others', endOtherSessions],
  ['POST', '/security/sessions/:ses/end', endSession],
  ['GET', '/security/password', showPassword],
  ['POST', '/security/password', changePassword],
  ['GET', '/security/second-factor', showSecondFactor],
  ['POST', '/security/second-factor', beginSecondFactor],
  ['POST', '/security/second-factor/confirm', confirmSecondFactor],
  ['GET', '/security/second-factor/remove', askForRemoval],
  ['POST', '/security/second-factor/remove', removeSecondFactor],
  ['GET', '/security/recovery-codes', showRecoveryCodes],
  ['POST', '/security/recovery-codes', replaceRecoveryCodes],
]

/** Pages of the platform, for operators, and the permission that each takes. */
export const PLATFORM: readonly PlatformScreen[] = [
  ['GET', '/organizations', 'organizations:read', listOrganizations],
]

const ACCOUNTS = '/service-accounts'
const ACCOUNT = `${ACCOUNTS}/:acc`
const KEYS = `${ACCOUNT}/keys`
const ACCESS = `${ACCOUNT}/permissions`
const TOKENS = `${ACCOUNT}/tokens`
const KEY = `${KEYS}/:key`
const ROLES = '/roles'
const ROLE = `${ROLES}/:role`
const GROUPS = '/groups'
const GROUP = `${GROUPS}/:grp`
const ADMINISTRATORS = '/administrators'
const ADMINISTRATOR = `${ADMINISTRATORS}/:adm`

/** Pages of an organization, below `/organizations/:org`, and the permission that each takes. */
export const SCREENS: readonly Screen[] = [
  ['GET', ACCOUNTS, 'service_accounts:read', listServiceAccounts],
  ['GET', `${ACCOUNTS}/new`, 'service_accounts:manage', showNewServiceAccount],
  ['POST', `${ACCOUNTS}/new`, 'service_accounts:manage', createServiceAccount],
  ['GET', ACCOUNT, 'service_accounts:read', showServiceAccount],
  ['GET', `${ACCOUNT}/edit`, 'service_accounts:manage', editServiceAccount],
  ['POST', `${ACCOUNT}/edit`, 'service_accounts:manage', saveServiceAccount],
  ['GET', `${ACCOUNT}/disable`, 'service_accounts:manage', askToDisable],
  ['POST', `${ACCOUNT}/disable`, 'service_accounts:manage', disableAccount],
  ['POST', `${ACCOUNT}/enable`, 'service_accounts:manage', enableAccount],
  ['GET', `${ACCOUNT}/delete`, 'service_accounts:manage', askToDelete],
  ['POST', `${ACCOUNT}/delete`, 'service_accounts:manage', deleteAccount],
  ['GET', TOKENS, 'service_accounts:read', listTokens],
  ['GET', `${TOKENS}/revoke`, 'service_accounts:manage', askToRevokeAll],
  ['POST', `${TOKENS}/revoke`, 'service_accounts:manage', revokeAll],
  ['GET', `${TOKENS}/:tok/revoke`, 'service_accounts:manage', askToRevokeToken],
  ['POST', `${TOKENS}/:tok/revoke`, 'service_accounts:manage', revokeToken],
  ['GET', ACCESS, 'service_accounts:read', showAccess],
  ['POST', ACCESS, 'service_accounts:manage', giveAccess],
  ['GET', `${ACCESS}/give`, 'service_accounts:manage', showGive],
  ['POST', `${ACCESS}/give`, 'service_accounts:manage', givePermissions],
  ['GET', `${ACCESS}/delegate`, 'service_accounts:manage', showDelegation],
  ['POST', `${ACCESS}/delegate`, 'service_accounts:manage', delegate],
  ['GET', `${ACCESS}/take`, 'service_accounts:manage', askToTake],
  ['POST', `${ACCESS}/take`, 'service_accounts:manage', takeAccess],
  ['GET', `${ACCOUNT}/audit`, 'audit:read', showAccountAudit],
  ['GET', KEYS, 'service_accounts:read', listKeys],
  ['GET', `${KEYS}/new`, 'service_accounts:manage', chooseKey],
  ['GET', `${KEYS}/new/browser`, 'service_accounts:manage', showBrowser],
  ['POST', `${KEYS}/new/browser`, 'service_accounts:manage', registerFromBrowser],
  ['GET', `${KEYS}/new/generate`, 'service_accounts:manage', showGenerate],
  ['POST', `${KEYS}/new/generate`, 'service_accounts:manage', generateKey],
  ['GET', `${KEYS}/new/register`, 'service_accounts:manage', showRegister],
  ['POST', `${KEYS}/new/register`, 'service_accounts:manage', registerKey],
  ['GET', `${KEYS}/new/api-token`, 'service_accounts:manage', showNewApiToken],
  ['POST', `${KEYS}/new/api-token`, 'service_accounts:manage', createApiToken],
  ['GET', KEY, 'service_accounts:read', showKey],
  ['POST', KEY, 'service_accounts:manage', saveKey],
  ['GET', `${KEY}/disable`, 'service_accounts:manage', askToDisableKey],
  ['POST', `${KEY}/disable`, 'service_accounts:manage', disableKey],
  ['POST', `${KEY}/enable`, 'service_accounts:manage', enableKey],
  ['GET', `${KEY}/delete`, 'service_accounts:manage', askToDeleteKey],
  ['POST', `${KEY}/delete`, 'service_accounts:manage', deleteKey],
  ['GET', ROLES, 'roles:read', listRoles],
  ['GET', `${ROLES}/permissions`, 'roles:read', listPermissions],
  ['GET', `${ROLES}/new`, 'roles:manage', showNewRole],
  ['POST', `${ROLES}/new`, 'roles:manage', createRole],
  ['GET', ROLE, 'roles:read', showRole],
  ['GET', `${ROLE}/edit`, 'roles:manage', editRole],
  ['POST', `${ROLE}/edit`, 'roles:manage', saveRole],
  ['GET', `${ROLE}/delete`, 'roles:manage', askToDeleteRole],
  ['POST', `${ROLE}/delete`, 'roles:manage', deleteRole],
  ['GET', GROUPS, 'groups:read', listGroups],
  ['GET', `${GROUPS}/new`, 'groups:manage', showNewGroup],
  ['POST', `${GROUPS}/new`, 'groups:manage', createGroup],
  ['GET', GROUP, 'groups:read', showGroup],
  ['GET', `${GROUP}/edit`, 'groups:manage', editGroup],
  ['POST', `${GROUP}/edit`, 'groups:manage', saveGroup],
  ['GET', `${GROUP}/delete`, 'groups:manage', askToDeleteGroup],
  ['POST', `${GROUP}/delete`, 'groups:manage', deleteGroup],
  ['GET', '/audit', 'audit:read', showAudit],
  ['GET', '/audit/export', 'audit:read', exportAudit],
  ['GET', '/try-it', 'service_accounts:read', showTryIt],
  ['POST', '/try-it', 'service_accounts:read', explainAssertion],
  ['GET', ADMINISTRATORS, 'administrators:read', listAdministrators],
  ['GET', `${ADMINISTRATORS}/new`, 'administrators:manage', showNewAdministrator],
  ['POST', `${ADMINISTRATORS}/new`, 'administrators:manage', inviteAdministrator],
  ['GET', ADMINISTRATOR, 'administrators:read', showAdministrator],
  ['GET', `${ADMINISTRATOR}/edit`, 'administrators:manage', editAdministrator],
  ['POST', `${ADMINISTRATOR}/edit`, 'administrators:manage', saveAdministrator],
  ['GET', `${ADMINISTRATOR}/access`, 'administrators:read', showAdministratorAccess],
  ['GET', `${ADMINISTRATOR}/access/edit`, 'administrators:manage', editAdministratorAccess],
  ['POST', `${ADMINISTRATOR}/access/edit`, 'administrators:manage', saveAdministratorAccess],
  ['GET', `${ADMINISTRATOR}/sessions`, 'administrators:read', showAdministratorSessions],
  ['POST', `${ADMINISTRATOR}/sessions/end`, 'administrators:manage', endAdministratorSessions],
  ['POST', `${ADMINISTRATOR}/sessions/:ses/end`, 'administrators:manage', endAdministratorSession],
  ['GET', `${ADMINISTRATOR}/reset`, 'administrators:manage', askToReset],
  ['POST', `${ADMINISTRATOR}/reset`, 'administrators:manage', resetAdministrator],
  ['GET', `${ADMINISTRATOR}/disable`, 'administrators:manage', askToDisableAdministrator],
  ['POST', `${ADMINISTRATOR}/disable`, 'administrators:manage', disableAdministrator],
  ['POST', `${ADMINISTRATOR}/enable`, 'administrators:manage', enableAdministrator],
  ['GET', `${ADMINISTRATOR}/delete`, 'administrators:manage', askToDeleteAdministrator],
  ['POST', `${ADMINISTRATOR}/delete`, 'administrators:manage', deleteAdministrator],
]
