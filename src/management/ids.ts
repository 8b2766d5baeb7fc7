import type { RequestHandler } from 'express'
import { type Noun, notFound } from '../directory/reach.ts'
import { type IdPrefix, isId } from '../ids.ts'

/** What each parameter of a path names. */
const PARAMETERS: Readonly<Record<string, { prefix: IdPrefix; noun: Noun }>> = {
  org: { prefix: 'org', noun: 'organization' },
  acc: { prefix: 'acc', noun: 'service account' },
  role: { prefix: 'role', noun: 'role' },
  grp: { prefix: 'grp', noun: 'group' },
  ses: { prefix: 'ses', noun: 'session' },
  key: { prefix: 'key', noun: 'key' },
  tok: { prefix: 'tok', noun: 'token' },
  rs: { prefix: 'rs', noun: 'resource server' },
  id: { prefix: 'rss', noun: 'secret' },
  sig: { prefix: 'sig', noun: 'signing key' },
}

/**
 * What has not the form of an id names nothing, and is answered like an id that was never given out. So
 * nothing strange in a path ever reaches the database. Throws Refusal `resource_not_found`.
 */
export const requireIds: RequestHandler = (req, _res, next) => {
  for (const [name, value] of Object.entries(req.params)) {
    const parameter = PARAMETERS[name]
    if (parameter !== undefined && !isId(parameter.prefix, String(value)))
      throw notFound(nounOf(parameter.noun, req.path), String(value).slice(0, 100))
  }
  next()
}

/** Accounts of both kinds have one form of id. */
function nounOf(noun: Noun, path: string): Noun {
  return noun === 'service account' && path.includes('/administrators/') ? 'administrator' : noun
}
