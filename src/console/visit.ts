import type { ExplainRequest, Explanation } from '../assertion/explanation.ts'
import type { OpenidProviders } from '../authentication/openid-provider.ts'
import type { AuthenticationServices } from '../authentication/services.ts'
import type { Session } from '../authentication/sessions.ts'
import type { OrganizationRow } from '../database/tables.ts'
import type { Actor, RequestFacts } from '../directory/actor.ts'
import type { ManagementPermission } from '../directory/management-permissions.ts'
import type { DirectoryServices, RotationServices, SealingServices } from '../directory/services.ts'
import type { Refusal } from '../errors.ts'
import type { Form } from '../http/form.ts'
import type { Html } from './html.ts'
import type { Unsent } from './unsent.ts'

export type ConsoleServices = AuthenticationServices &
  DirectoryServices &
  SealingServices &
  RotationServices & {
    openid: OpenidProviders
    /** How a token request with an assertion would end. Claims, issues and keeps nothing. */
    explain: (request: ExplainRequest) => Promise<Explanation>
  }

/** A request for a page, or from a form of ours, as every screen sees it. */
export type Visit = {
  services: ConsoleServices
  /** Milliseconds. */
  now: number
  facts: RequestFacts
  /** Path of the console, below the host and without a slash at its end; begins every link. */
  root: string
  /** Path of this page, below the host. */
  path: string
  /** Names in the path; ids have the form of one. */
  params: Readonly<Record<string, string>>
  query: URLSearchParams
  /** Empty unless a form was sent. */
  form: Form
  /** What every form must bear; `formStart` puts it in. */
  formToken: string
  /** The session cookie, whatever it holds. */
  secret: string | undefined
}

/** The same, by somebody who is signed in. */
export type SessionVisit = Visit & {
  session: Session
  actor: Actor
  /** The newest organizations, for operators who may see them all; undefined for everybody else. */
  tenants: readonly OrganizationRow[] | undefined
  /** What they had typed before they had to sign in again. */
  unsent: Unsent | undefined
}

/** The same, in an organization that they may see. */
export type OrganizationVisit = SessionVisit & {
  organization: OrganizationRow
  /** Path of the organization's pages; begins every link within it. */
  home: string
}

/** One page. */
export type Page = {
  title: string
  content: Html
  /** Modules of `assets/` that this page needs besides those of every page. */
  scripts?: readonly string[]
  /** Where the browser goes on by itself, at once. */
  onward?: string
}

/** What a browser is given to keep: a new session, or none any more (null); a sign-in begun elsewhere; no form that was not sent (null). */
type Kept = { session?: string | null; openid?: string; unsent?: null }

/**
 * What a screen answers: a page (422 for a form that has faults; `refusal` is for the log), or where to go after a
 * form was taken, with one sentence that says what was done and is shown there once.
 */
export type Reply =
  | ({ page: Page; status?: 200 | 409 | 422 | 429; refusal?: Refusal } & Kept)
  | ({ to: string; done?: string } & Kept)
  | { file: LinesFile }

/** A file of one JSON text a line, read a batch at a time while it is sent. */
export type LinesFile = { name: string; batches: AsyncIterable<readonly unknown[]> }

type Handler<Kind extends Visit> = (visit: Kind) => Promise<Reply> | Reply

/** One line of a table of screens. */
export type Route<Kind extends Visit> = readonly [method: 'GET' | 'POST', path: string, handle: Handler<Kind>]

/** The same for pages of an organization: the permission decides who may ask at all. */
export type Screen = readonly [
  method: 'GET' | 'POST',
  path: string,
  permission: ManagementPermission,
  handle: Handler<OrganizationVisit>,
]

/** The same for pages of the platform, which operators see. */
export type PlatformScreen = readonly [
  method: 'GET' | 'POST',
  path: string,
  permission: ManagementPermission,
  handle: Handler<SessionVisit>,
]

/** Whether somebody holds a permission: what they may not do is absent from a page, or explained. */
export function may({ actor }: Pick<SessionVisit, 'actor'>, permission: ManagementPermission): boolean {
  return actor.permissions.includes(permission)
}
