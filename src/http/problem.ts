import type { Response } from 'express'
import type { InputFault, Refusal } from '../errors.ts'
import { contextOf } from './request-context.ts'

/** What does not change from one occurrence to the next; `detail` is for when there is nothing more exact. */
export type ProblemType = { code: string; status: number; title: string; detail: string }

/** A bug of ours: the caller can only quote the request id. */
export const INTERNAL_ERROR: ProblemType = {
  code: 'internal_error',
  status: 500,
  title: 'The server met an unexpected condition',
  detail: 'The log of the server has the reason under the request id.',
}

/** Answers with a problem (RFC 9457), never cached. `refusal` is undefined for a bug. */
export function sendProblem(
  res: Response,
  issuer: string,
  type: ProblemType,
  refusal: Refusal | undefined,
): void {
  const { allowedMethods, retryAfterSeconds } = refusal?.told ?? {}
  if (allowedMethods !== undefined) res.setHeader('Allow', allowedMethods.join(', '))
  if (retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(retryAfterSeconds))
  res.setHeader('Cache-Control', 'no-store')
  res.status(type.status).type('application/problem+json')
  res.send(JSON.stringify(toProblem(type, refusal, issuer, contextOf(res).requestId)))
}

/** The members of RFC 9457 §3.1, and ours of http-contract. */
function toProblem(type: ProblemType, refusal: Refusal | undefined, issuer: string, requestId: string) {
  const { hint, faults } = refusal?.told ?? {}
  return {
    type: `${issuer}/docs/problems#${type.code}`,
    title: type.title,
    status: type.status,
    detail: hint ?? (faults === undefined ? type.detail : summarize(faults)),
    code: type.code,
    request_id: requestId,
    instance: `urn:countersign:request:${requestId}`,
    ...(faults === undefined ? {} : { errors: faults.map(({ pointer, detail }) => ({ pointer, detail })) }),
  }
}

function summarize(faults: readonly InputFault[]): string {
  return faults.length === 1 ? 'The body has a fault.' : `The body has ${faults.length} faults.`
}
