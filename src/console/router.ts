import { randomBytes } from 'node:crypto'
import { type ErrorRequestHandler, type Request, type Response, Router } from 'express'
import { OPENID_REQUEST_SECONDS } from '../authentication/openid-sign-in.ts'
import { getSession } from '../authentication/sessions.ts'
import { findOrganizationBySlug } from '../database/queries/organizations.ts'
import type { ManagementPermission } from '../directory/management-permissions.ts'
import { listOrganizations } from '../directory/organizations.ts'
import { notFound, requireOperator, requireReachable } from '../directory/reach.ts'
import { Refusal } from '../errors.ts'
import {
  type Cookie,
  formCookie,
  noticeCookie,
  openidCookie,
  sessionCookie,
  unsentCookie,
} from '../http/cookies.ts'
import { toRefusal } from '../http/fault.ts'
import { type Form, parseForm, readBody } from '../http/form.ts'
import { sendLines } from '../http/lines.ts'
import { allowOnly } from '../http/methods.ts'
import { refusePlaintext } from '../http/plaintext.ts'
import { contextOf, noteFacts, noteRefusal } from '../http/request-context.ts'
import { requireSameOrigin } from '../http/same-origin.ts'
import type { Tarpit } from '../http/tarpit.ts'
import { createSeal, type Seal } from '../signing/seal.ts'
import { type Assets, createAssets } from './assets.ts'
import { comesFromElsewhere, requireNames } from './browser.ts'
import { formTokenOf, requireFormToken } from './form-token.ts'
import { pageHeaders } from './headers.ts'
import { drawPage } from './layout.ts'
import { problemPage, stepPage } from './parts/plain-pages.ts'
import { BUG, explain } from './refusals.ts'
import { ENTRANCE, OWN, PLATFORM, SCREENS, TENANT } from './screens.ts'
import { createUnsentForms, UNSENT, UNSENT_SECONDS, type UnsentForms } from './unsent.ts'
import {
  type ConsoleServices,
  type LinesFile,
  may,
  type OrganizationVisit,
  type Page,
  type Reply,
  type SessionVisit,
  type Visit,
} from './visit.ts'

/** Below the issuer's path. */
const ROOT = '/console'
const ORGANIZATION = '/organizations/:org'
/** A role may be of hundreds of permissions, each with a box of its own. */
const MAX_FIELDS = 2_000
/** How long a sentence waits for the page that shows it. */
const NOTICE_SECONDS = 60
/** Organizations that operators reach from every page; the others are a page away. */
const TENANTS = 8

type ConsoleOptions = ConsoleServices & {
  tarpit: Tarpit
  /** Called for every error that is not a refusal: a bug. */
  onBug: (error: unknown, res: Response) => void
}

/** What all pages share. */
type Kit = {
  services: ConsoleOptions
  tarpit: Tarpit
  root: string
  assets: Assets
  cookies: Record<'session' | 'form' | 'notice' | 'openid', Cookie>
  notices: Seal<string>
  unsentForms: UnsentForms
}

/** How a request becomes the visit that a screen takes. */
type Gather<Kind extends Visit> = (kit: Kit, req: Request, res: Response) => Promise<Kind>

/**
 * The console, to be mounted at `/console` below the issuer's path. Each request goes the same way: is it from a
 * page of ours, who is signed in, is the form theirs, may they; then the directory's rule, then a page or the way
 * to one.
 */
export function createConsole(options: ConsoleOptions): Router {
  const { issuer } = options
  const kit: Kit = {
    services: options,
    tarpit: options.tarpit,
    root: new URL(issuer).pathname.replace(/\/$/, '') + ROOT,
    assets: createAssets(),
    cookies: {
      session: sessionCookie(issuer),
      form: formCookie(issuer),
      notice: noticeCookie(issuer, NOTICE_SECONDS),
      openid: openidCookie(issuer, OPENID_REQUEST_SECONDS),
    },
    notices: createSeal(options.keyEncryptionKeys, 'console notice'),
    unsentForms: createUnsentForms({
      ...options,
      cookie: unsentCookie(issuer, UNSENT_SECONDS),
      seal: createSeal(options.keyEncryptionKeys, 'console form'),
    }),
  }
  const router = Router({ caseSensitive: true, strict: true })
  router.use(pageHeaders)
  if (issuer.startsWith('https:')) router.use(refusePlaintext)
  router.use(kit.assets.router)
  mount(router, kit, gatherVisit, ENTRANCE)
  mount(router, kit, gatherSession, OWN)
  for (const [method, path, permission, handle] of PLATFORM) {
    mount(router, kit, gatherPlatform(permission), [[method, path, handle]])
  }
  for (const [method, path, permission, handle] of TENANT) {
    mount(router, kit, gatherTenant(permission), [[method, ORGANIZATION + path, handle]])
  }
  for (const [method, path, permission, handle] of SCREENS) {
    mount(router, kit, gatherOrganization(permission), [[method, ORGANIZATION + path, handle]])
  }
  refuseOtherMethods(router)
  router.use((req) => {
    throw new Refusal('not_found', { path: req.path })
  })
  router.use(answerProblems(kit, options))
  return router
}

function mount<Kind extends Visit>(
  router: Router,
  kit: Kit,
  gather: Gather<Kind>,
  routes: readonly (readonly ['GET' | 'POST', string, (visit: Kind) => Promise<Reply> | Reply])[],
): void {
  const ours = requireSameOrigin(kit.services.issuer)
  for (const [method, path, handle] of routes) {
    const name = method.toLowerCase() as Lowercase<typeof method>
    router[name](path, ours, readBody, async (req, res) => {
      const visit = await gather(kit, req, res)
      const reply = await handle(visit)
      if ('file' in reply) await sendFile(kit, res, reply.file)
      else await send(kit, req, res, visit, reply)
    })
  }
}

function refuseOtherMethods(router: Router): void {
  const served = [
    ...ENTRANCE.map(([method, path]) => [method, path] as const),
    ...OWN.map(([method, path]) => [method, path] as const),
    ...PLATFORM.map(([method, path]) => [method, path] as const),
    ...[...TENANT, ...SCREENS].map(([method, path]) => [method, ORGANIZATION + path] as const),
  ]
  for (const path of new Set(served.map(([, path]) => path))) {
    const methods = served.flatMap(([method, each]) => (each === path ? [method] : []))
    router.all(path, allowOnly(...methods.flatMap((name) => (name === 'GET' ? [name, 'HEAD'] : [name]))))
  }
}

/** Before somebody has signed in: forms are bound to a secret of this browser. */
async function gatherVisit(kit: Kit, req: Request, res: Response): Promise<Visit> {
  const known = kit.cookies.form.read(req)
  const browserSecret = known ?? randomBytes(32).toString('base64url')
  if (known === undefined) kit.cookies.form.set(res, browserSecret)
  return toVisit(kit, req, res, browserSecret)
}

/** Somebody who is signed in. Throws Refusal `session_missing` or `second_factor_required`. */
async function gatherSession(kit: Kit, req: Request, res: Response): Promise<SessionVisit> {
  const { requestId, ip, userAgent } = contextOf(res)
  const secret = kit.cookies.session.read(req)
  const session = await getSession(kit.services, secret, { requestId, ip, userAgent })
  const { accountId, organizationId } = session.record
  noteFacts(res, { accountId, organizationId })
  const plain = {
    ...toVisit(kit, req, res, secret ?? ''),
    session,
    actor: session.actor,
    unsent: kit.unsentForms.find(req, accountId),
  }
  const visit = { ...plain, tenants: await listTenants(plain) }
  // For the frame of a page that says why there is no other.
  res.locals.visit = visit
  return visit
}

/** The newest organizations, for operators to switch to. */
async function listTenants(visit: Omit<SessionVisit, 'tenants'>): Promise<SessionVisit['tenants']> {
  const { services, actor } = visit
  if (!actor.isOperator || !may(visit, 'organizations:read')) return undefined
  const { items } = await listOrganizations(services, actor, { limit: TENANTS, cursor: undefined })
  return items
}

/** The same, and what was typed is kept for who must sign in again. One's own matters are mostly secrets. */
const gatherMember: Gather<SessionVisit> = async (kit, req, res) => {
  try {
    return await gatherSession(kit, req, res)
  } catch (error) {
    if (error instanceof Refusal && error.reason === 'session_missing') await keepUnsent(kit, req, res)
    throw error
  }
}

async function keepUnsent(kit: Kit, req: Request, res: Response): Promise<void> {
  const secret = kit.cookies.session.read(req)
  if (req.method !== 'POST' || secret === undefined) return
  const form = findForm(req, formTokenOf(secret))
  if (form !== undefined) res.locals.isFormKept = await kit.unsentForms.keep(req, res, secret, form)
}

/** An operator, on a page of the platform. Throws Refusal `permission_missing` besides. */
function gatherPlatform(permission: ManagementPermission): Gather<SessionVisit> {
  return async (kit, req, res) => {
    const visit = await gatherMember(kit, req, res)
    requireOperator(visit.actor)
    requirePermission(visit, permission)
    return visit
  }
}

function requirePermission(visit: SessionVisit, permission: ManagementPermission): void {
  if (may(visit, permission)) return
  throw new Refusal('permission_missing', { needed: permission, held: visit.actor.permissions })
}

/** In an organization that they may see, on a page that they may ask for. */
function gatherOrganization(permission: ManagementPermission): Gather<OrganizationVisit> {
  return async (kit, req, res) => {
    const visit = await gatherMember(kit, req, res)
    const organization = await getOrganization(visit)
    const home = `${kit.root}/organizations/${organization.slug}`
    const within = { ...visit, organization, home }
    res.locals.visit = within
    requirePermission(within, permission)
    return within
  }
}

/** An operator, in an organization of theirs or another one. Throws Refusal `permission_missing` besides. */
function gatherTenant(permission: ManagementPermission): Gather<OrganizationVisit> {
  const gather = gatherOrganization(permission)
  return async (kit, req, res) => {
    const visit = await gather(kit, req, res)
    requireOperator(visit.actor)
    return visit
  }
}

/** A foreign slug is not even looked up, so that time tells nothing either (promise 9). */
async function getOrganization({ services, session, actor, params }: SessionVisit) {
  const slug = params.org as string
  if (!actor.isOperator && session.record.organizationSlug !== slug) throw notFound('organization', slug)
  const found = await findOrganizationBySlug(services.db, slug)
  return requireReachable(actor, found?.id ?? slug, found)
}

function toVisit(kit: Kit, req: Request, res: Response, browserSecret: string): Visit {
  const { requestId, ip, userAgent } = contextOf(res)
  const formToken = formTokenOf(browserSecret)
  const params = req.params as Record<string, string>
  requireNames(params)
  const url = new URL(req.originalUrl, kit.services.issuer)
  const form = req.method === 'POST' ? readForm(req, formToken) : NO_FORM
  return {
    services: kit.services,
    now: kit.services.clock.now(),
    facts: { requestId, ip, userAgent },
    root: kit.root,
    path: url.pathname,
    params,
    query: url.searchParams,
    form,
    formToken,
    secret: kit.cookies.session.read(req),
  }
}

const NO_FORM: Form = new Map()

/** The form, if it was given to the session that its token is of. Any other one another site could have made. */
function findForm(req: Request, formToken: string): Form | undefined {
  try {
    return readForm(req, formToken)
  } catch (error) {
    if (error instanceof Refusal) return undefined
    throw error
  }
}

function readForm(req: Request, formToken: string): Form {
  const form = parseForm(req.get('content-type'), req.body, MAX_FIELDS)
  requireFormToken(form, formToken)
  return form
}

/** Names of files are ours: slugs and days. */
async function sendFile({ services }: Kit, res: Response, { name, batches }: LinesFile): Promise<void> {
  res.setHeader('Content-Disposition', `attachment; filename="${name}"`)
  await sendLines(res, batches, (error) => services.onBug(error, res))
}

async function send(
  kit: Kit,
  req: Request,
  res: Response,
  visit: Visit,
  reply: Exclude<Reply, { file: LinesFile }>,
): Promise<void> {
  const { cookies, notices, tarpit } = kit
  if (reply.unsent === null || visit.form.has(UNSENT)) kit.unsentForms.clear(res)
  if (reply.session === null) cookies.session.clear(res)
  else if (reply.session !== undefined) cookies.session.set(res, reply.session)
  if (reply.openid !== undefined) cookies.openid.set(res, reply.openid)
  if ('to' in reply) {
    if (reply.done !== undefined) cookies.notice.set(res, notices.seal(reply.done))
    res.redirect(303, reply.to)
    return
  }
  if (reply.refusal !== undefined) {
    noteRefusal(res, reply.refusal)
    await tarpit(res, reply.refusal)
  }
  const kept = cookies.notice.read(req)
  if (kept !== undefined) cookies.notice.clear(res)
  const frame = {
    visit: 'session' in visit ? (visit as SessionVisit) : undefined,
    notice: notices.open(kept),
  }
  sendPage(kit, res, reply.status ?? 200, frame, reply.page)
}

function sendPage(
  { root, assets }: Kit,
  res: Response,
  status: number,
  { visit, notice }: { visit: SessionVisit | undefined; notice?: string | undefined },
  page: Page,
): void {
  res.status(status).type('text/html')
  res.send(drawPage({ root, assets, visit, notice }, page))
}

function answerProblems(kit: Kit, { onBug }: Pick<ConsoleOptions, 'onBug'>): ErrorRequestHandler {
  return async (error: unknown, req, res, _next) => {
    // What Express' router throws for a percent-sequence in a path that is not UTF-8: such a path names nothing.
    const refusal = error instanceof URIError ? new Refusal('not_found') : toRefusal(error)
    const explanation = refusal === undefined ? BUG : explain(refusal)
    if (explanation === BUG) onBug(error, res)
    if (refusal !== undefined) {
      noteRefusal(res, refusal)
      await kit.tarpit(res, refusal)
    }
    if (refusal !== undefined && leadToSignIn(kit, req, res, refusal)) return
    const { allowedMethods, retryAfterSeconds } = refusal?.told ?? {}
    if (allowedMethods !== undefined) res.setHeader('Allow', allowedMethods.join(', '))
    if (retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(retryAfterSeconds))
    const page = problemPage(explanation, kit.root, contextOf(res).requestId)
    const visit = res.locals.visit as SessionVisit | undefined
    sendPage(kit, res, explanation.status, { visit }, page)
  }
}

/** Who is not signed in is led to where they can, and back afterwards. Answers whether that was it. */
function leadToSignIn(kit: Kit, req: Request, res: Response, { reason }: Refusal): boolean {
  if (reason !== 'session_missing' && reason !== 'second_factor_required') return false
  const here = placeOf(kit, req, res)
  if (comesFromElsewhere(req)) {
    sendPage(kit, res, 200, { visit: undefined }, stepPage('One moment', req.originalUrl))
    return true
  }
  const where = reason === 'session_missing' ? '/sign-in' : '/sign-in/code'
  const isHome = here === undefined || here === kit.root || here === `${kit.root}/`
  res.redirect(303, kit.root + where + (isHome ? '' : `?${new URLSearchParams({ next: here })}`))
  return true
}

/** Where somebody goes on who has to sign in first: a form that was kept waits on a page of its own. */
function placeOf({ root }: Kit, req: Request, res: Response): string | undefined {
  if (req.method === 'GET') return req.originalUrl
  return res.locals.isFormKept === true ? `${root}/unsent` : undefined
}
