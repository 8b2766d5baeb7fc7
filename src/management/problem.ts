import type { ErrorRequestHandler, Response } from 'express'
import { managementMetadataUrl } from '../directory/installation.ts'
import { Refusal } from '../errors.ts'
import { schemeOf } from '../http/authorization.ts'
import { toRefusal } from '../http/fault.ts'
import { INTERNAL_ERROR, type ProblemType, sendProblem } from '../http/problem.ts'
import { noteRefusal } from '../http/request-context.ts'
import type { Tarpit } from '../http/tarpit.ts'
import { PROOF_ALGORITHMS } from '../possession/proof-key.ts'
import { toProblemType } from './problem-types.ts'

export type ProblemOptions = {
  issuer: string
  tarpit: Tarpit
  /** Called for every error that is not a refusal: a bug. */
  onBug: (error: unknown, res: Response) => void
}

/** The last handler of the management API: every error becomes a problem (RFC 9457), in no other form. */
export function answerProblems(options: ProblemOptions): ErrorRequestHandler {
  return async (error: unknown, req, res, _next) => {
    const refusal = isUndecodable(error) ? new Refusal('not_found') : toRefusal(error)
    const type = refusal === undefined ? INTERNAL_ERROR : toProblemType(refusal.reason)
    if (type === INTERNAL_ERROR) options.onBug(error, res)
    if (refusal !== undefined) {
      noteRefusal(res, refusal)
      await options.tarpit(res, refusal)
      const scheme = schemeOf(req.get('authorization'))
      const challenges = toChallenges(refusal, type, { scheme, issuer: options.issuer })
      if (challenges.length > 0) res.setHeader('WWW-Authenticate', challenges)
      if (refusal.told.dpopNonce !== undefined) res.setHeader('DPoP-Nonce', refusal.told.dpopNonce)
    }
    sendProblem(res, options.issuer, type, refusal)
  }
}

/** RFC 6750 §3.1 and RFC 9449 §7.1: without credentials both schemes and no error, else the one that was used. */
function toChallenges(
  refusal: Refusal,
  type: ProblemType,
  { scheme, issuer }: { scheme: string | undefined; issuer: string },
): string[] {
  // RFC 9728 §5.1: whoever has no token learns from there who gives one, and for what.
  const known = `realm="countersign", resource_metadata="${managementMetadataUrl(issuer)}"`
  const challenges = {
    bearer: `Bearer ${known}`,
    dpop: `DPoP ${known}, algs="${PROOF_ALGORITHMS.join(' ')}"`,
  }
  if (refusal.reason === 'credentials_missing') return Object.values(challenges)
  const error = toChallengeError(refusal, type)
  return error === undefined ? [] : [`${challenges[scheme === 'dpop' ? 'dpop' : 'bearer']}, ${error}`]
}

function toChallengeError({ reason, told }: Refusal, { code, status }: ProblemType): string | undefined {
  if (reason === 'credentials_malformed' || reason === 'credentials_ambiguous')
    return 'error="invalid_request"'
  if (reason === 'proof_nonce_required') return 'error="use_dpop_nonce"'
  if (code === 'proof_invalid') return 'error="invalid_dpop_proof"'
  if (status === 401) return 'error="invalid_token"'
  if (status !== 403) return undefined
  const needed = told.neededPermissions
  return `error="insufficient_scope"${needed === undefined ? '' : `, scope="${needed.join(' ')}"`}`
}

/** What Express' router throws for a percent-sequence in a path that is not UTF-8: such a path names nothing. */
function isUndecodable(error: unknown): boolean {
  return error instanceof URIError
}
