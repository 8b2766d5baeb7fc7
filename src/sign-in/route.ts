import type { Request, Response } from 'express'
import type { OpenidProviders } from '../authentication/openid-provider.ts'
import type { AuthenticationServices } from '../authentication/services.ts'
import type { RequestFacts } from '../directory/actor.ts'
import type { PageRequest } from '../directory/pages.ts'
import type { Cookie } from '../http/cookies.ts'

export type SignInServices = AuthenticationServices & { openid: OpenidProviders }

/** The cookies that this front door reads and sets. */
export type Cookies = { session: Cookie; openid: Cookie }

/** A request that is known to come from our own pages, and is as the contract says. */
export type Call = {
  services: SignInServices
  cookies: Cookies
  /** The session cookie, whatever it holds. */
  secret: string | undefined
  facts: RequestFacts
  req: Request
  res: Response
  /** As openapi.yaml describes it. */
  // biome-ignore lint/suspicious/noExplicitAny: the contract has checked it; each route names the members it reads
  body: any
}

/** The page that a list call asks for; the contract gives `limit` its default. */
export function pageOf({ req }: Call): PageRequest {
  return { limit: Number(req.query.limit), cursor: req.query.cursor as string | undefined }
}

/** What is answered: JSON, nothing, a page, or the way to one. */
export type Reply =
  | { status: 200; body: unknown }
  | { status: 204 }
  | { status: 200; page: string }
  | { status: 303; to: string }

/** One line of the table. */
export type Route = readonly [
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  handle: (call: Call) => Promise<Reply>,
]
