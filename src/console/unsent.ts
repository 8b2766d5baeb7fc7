import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Request, Response } from 'express'
import { findAccountOfSession } from '../authentication/sessions.ts'
import type { Clock } from '../clock.ts'
import type { Db } from '../database/connect.ts'
import type { Cookie } from '../http/cookies.ts'
import type { Form } from '../http/form.ts'
import type { Seal } from '../signing/seal.ts'
import { FORM_TOKEN } from './form-token.ts'
import { ONCE } from './once.ts'

/** How long what was typed waits for its person to sign in again. */
export const UNSENT_SECONDS = 900
/** Of a form that is to be shown again as it was typed, and is not to be taken yet. */
export const UNSENT = 'unsent'
/** A cookie may have 4096 characters in all (RFC 6265 §6.1). */
const MAX_SEALED_LENGTH = 3_800
/** What is unpacked of a cookie, which only we can have made. */
const MAX_BYTES = 131_072

/** Fields that nobody has typed. */
const OURS = [FORM_TOKEN, ONCE, UNSENT]
/** Fields that are a secret by their name; `unsent.test.ts` looks whether these are all that are. */
const SECRET_FIELD = /password|secret|code|assertion/i
/** What was pasted by mistake where a public key belongs. */
const PRIVATE_KEY = /PRIVATE KEY|"d"\s*:/

/** What somebody had typed into a form that came after their session had ended. */
export type Unsent = {
  accountId: string
  /** Of the form, below the host, with its query: that may say what the form is about. */
  path: string
  fields: readonly (readonly [name: string, value: string])[]
  /** Milliseconds. */
  expiresAt: number
}

/** The text that is sealed: the fields packed, since a role may have hundreds. */
type Sealed = { packed: string }

export type UnsentForms = {
  /** Lets the browser keep a form whose session has ended. Answers whether it does. */
  keep(req: Request, res: Response, secret: string, form: Form): Promise<boolean>
  /** What this account has typed and not sent; undefined for nothing, or for somebody else's. */
  find(req: Request, accountId: string): Unsent | undefined
  clear(res: Response): void
}

type Options = { db: Db; clock: Clock; cookie: Cookie; seal: Seal<Sealed> }

/**
 * Keeps forms that came too late, in the browser that they came from: sealed, for a quarter of an hour, and only for the
 * person whose session it was. The server stores nothing. Secrets are left out.
 */
export function createUnsentForms({ db, clock, cookie, seal }: Options): UnsentForms {
  return {
    async keep(req, res, secret, form) {
      const fields = fieldsOf(form)
      if (fields.length === 0) return false
      const accountId = await findAccountOfSession({ db }, secret)
      if (accountId === undefined) return false
      const { pathname, search } = new URL(req.originalUrl, 'http://here.invalid')
      const path = pathname + search
      const expiresAt = clock.now() + UNSENT_SECONDS * 1000
      const sealed = seal.seal(pack({ accountId, path, fields, expiresAt }))
      if (sealed.length > MAX_SEALED_LENGTH) return false
      cookie.set(res, sealed)
      return true
    },
    find(req, accountId) {
      const sealed = seal.open(cookie.read(req))
      const unsent = sealed && unpack(sealed)
      const isTheirs = unsent?.accountId === accountId && unsent.expiresAt > clock.now()
      return isTheirs ? unsent : undefined
    },
    clear: (res) => cookie.clear(res),
  }
}

function fieldsOf(form: Form): Unsent['fields'] {
  return [...form].flatMap(([name, values]) =>
    OURS.includes(name) || SECRET_FIELD.test(name)
      ? []
      : values
          .filter((value) => value !== '' && !PRIVATE_KEY.test(value))
          .map((value) => [name, value] as const),
  )
}

function pack(unsent: Unsent): Sealed {
  return { packed: deflateRawSync(JSON.stringify(unsent)).toString('base64url') }
}

function unpack({ packed }: Sealed): Unsent {
  const text = inflateRawSync(Buffer.from(packed, 'base64url'), { maxOutputLength: MAX_BYTES }).toString()
  return JSON.parse(text) as Unsent
}
