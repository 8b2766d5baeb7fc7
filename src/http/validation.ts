import type { Request, RequestHandler, Response } from 'express'
import { error, middleware } from 'express-openapi-validator'
import { Refusal } from '../errors.ts'
import { readContract } from './contract.ts'
import { toFaults, toQueryHint, type Violation } from './violations.ts'

type ApiSpec = Exclude<Parameters<typeof middleware>[0]['apiSpec'], string>

/**
 * Holds requests to openapi.yaml, and in the tests the answers as well: types, lengths, unknown members. Query
 * parameters come out converted and with their defaults.
 *
 * The handler throws Refusal `request_malformed` for the query and `input_invalid` for the body. An answer
 * that is not as the contract says is a bug.
 */
export function createValidation(options: {
  issuer: string
  /** Below which path of the contract the endpoints lie. */
  path: string
  validateResponses: boolean
}): RequestHandler {
  const handlers = middleware({
    apiSpec: toApiSpec(options),
    // All errors of one body in one answer; 64 KiB bound the work.
    validateRequests: { allErrors: true, coerceTypes: false, discriminator: true },
    validateResponses: options.validateResponses,
    validateSecurity: false,
    validateApiSpec: false,
    fileUploader: false,
    ajvFormats: { mode: 'full' },
  }) as RequestHandler[]

  return (req, res, next) => {
    const { method } = req
    // HEAD is GET without the answer's content (RFC 9110 §9.3.2); the contract does not repeat it.
    if (method === 'HEAD') req.method = 'GET'
    runInTurn(handlers, req, res, (thrown) => {
      req.method = method
      next(thrown === undefined ? missingBody(req) : toRefusal(thrown, req))
    })
  }
}

/** The part of openapi.yaml that is asked for, below the path of the issuer. */
function toApiSpec({ issuer, path }: { issuer: string; path: string }): ApiSpec {
  const servers = [{ url: new URL(issuer).pathname }]
  return { ...readContract(path), servers } as unknown as ApiSpec
}

/** The validator takes a request without any body for one that needs none. */
function missingBody(req: Request): Refusal | undefined {
  const { openapi } = req as { openapi?: { schema?: { requestBody?: { required?: boolean } } } }
  if (req.body !== undefined || openapi?.schema?.requestBody?.required !== true) return undefined
  return new Refusal(
    'input_invalid',
    { fact: 'no body' },
    { faults: [{ pointer: '', detail: 'a JSON body is needed' }] },
  )
}

function runInTurn(
  handlers: readonly RequestHandler[],
  req: Request,
  res: Response,
  done: (thrown?: unknown) => void,
): void {
  const [handler, ...rest] = handlers
  if (handler === undefined) {
    done()
    return
  }
  handler(req, res, (thrown?: unknown) => {
    if (thrown === undefined) runInTurn(rest, req, res, done)
    else done(thrown)
  })
}

/** What the validator's errors mean; one that is not about the request is passed on as the bug it is. */
function toRefusal(thrown: unknown, req: Request): unknown {
  if (!(thrown instanceof error.BadRequest)) return thrown
  const violations: readonly Violation[] = thrown.errors
  const hint = toQueryHint(violations)
  if (hint !== undefined) return new Refusal('request_malformed', { violations }, { hint })
  const faults = toFaults(violations, req.body)
  return new Refusal('input_invalid', { faults }, { faults })
}
