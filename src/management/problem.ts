import type { ErrorRequestHandler, Response } from 'express'
import { managementMetadataUrl } from '../directory/installation.ts'
import { Refusal } from '../errors.ts'
import { toRefusal } from '../http/fault.ts'
import { INTERNAL_ERROR, type ProblemType, sendProblem } from '../http/problem.ts'
import { noteRefusal } from '../http/request-context.ts'
import { toProblemType } from './problem-types.ts'

export type ProblemOptions = {
  issuer: string
  /** Called for every error that is not a refusal: a bug. */
  onBug: (error: unknown, res: Response) => void
}

/** The last handler of the management API: every error becomes a problem (RFC 9457), in no other form. */
export function answerProblems(options: ProblemOptions): ErrorRequestHandler {
  return (error: unknown, _req, res, _next) => {
    const refusal = isUndecodable(error) ? new Refusal('not_found') : toRefusal(error)
    const type = refusal === undefined ? INTERNAL_ERROR : toProblemType(refusal.reason)
    if (type === INTERNAL_ERROR) options.onBug(error, res)
    if (refusal !== undefined) {
      noteRefusal(res, refusal)
      const challenge = toChallenge(refusal, type, options.issuer)
      if (challenge !== undefined) res.setHeader('WWW-Authenticate', challenge)
    }
    sendProblem(res, options.issuer, type, refusal)
  }
}

/** RFC 6750 §3 and §3.1: without credentials no error is named, else the one that fits. */
function toChallenge(refusal: Refusal, { status }: ProblemType, issuer: string): string | undefined {
  // RFC 9728 §5.1: whoever has no token learns from there who gives one, and for what.
  const challenge = `Bearer realm="countersign", resource_metadata="${managementMetadataUrl(issuer)}"`
  if (refusal.reason === 'credentials_missing') return challenge
  if (refusal.reason === 'credentials_malformed' || refusal.reason === 'credentials_ambiguous')
    return `${challenge}, error="invalid_request"`
  if (status === 401) return `${challenge}, error="invalid_token"`
  if (status !== 403) return undefined
  const needed = refusal.told.neededPermissions
  const scope = needed === undefined ? '' : `, scope="${needed.join(' ')}"`
  return `${challenge}, error="insufficient_scope"${scope}`
}

/** What Express' router throws for a percent-sequence in a path that is not UTF-8: such a path names nothing. */
function isUndecodable(error: unknown): boolean {
  return error instanceof URIError
}
