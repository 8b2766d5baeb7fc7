import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import { Refusal } from '../errors.ts'
import { parseBearer, schemeOf } from '../http/authorization.ts'
import { parseForm } from '../http/form.ts'
import type { ProofVerifier, VerifiedProof } from '../possession/proof.ts'
import type { Presentation } from '../tokens/binding.ts'

export type PresentedTokenServices = {
  issuer: string
  verifyProof: ProofVerifier
  /** The thumbprint of the certificate with which the caller has come. Throws Refusal `certificate_malformed`. */
  findCertificate: (req: IncomingMessage) => string | undefined
}

/** A token, and how it is presented; the proof is still to be claimed. */
export type PresentedToken = {
  token: string
  presented: Presentation
  proof: VerifiedProof | undefined
}

const FORM_TYPE = /^application\/x-www-form-urlencoded\b/i

/**
 * The token of a request, and what its sender proves to hold with it: a client certificate for `Bearer` (RFC 8705
 * §3), a proof for `DPoP` (RFC 9449 §7.1). Throws Refusal `credentials_…`, `proof_…` or `certificate_malformed`.
 */
export function readPresentedToken(req: Request, services: PresentedTokenServices): PresentedToken {
  const { scheme, token } = requireToken(req)
  if (scheme === 'bearer') {
    return {
      token,
      presented: { scheme: 'Bearer', certificate: services.findCertificate(req) },
      proof: undefined,
    }
  }
  const header = req.get('dpop')
  if (header === undefined) throw new Refusal('proof_required')
  const target = `${new URL(services.issuer).origin}${req.baseUrl}${req.path}`
  const proof = services.verifyProof(header, { method: req.method, target, accessToken: token })
  return { token, presented: { scheme: 'DPoP', jkt: proof.jkt }, proof }
}

/** RFC 6750 §2: one method only. A token in form or query is never read, so without a header there is none. */
function requireToken(req: Request): { scheme: 'bearer' | 'dpop'; token: string } {
  // Node.js drops all but the first; which one the caller meant is not ours to guess (RFC 9449 §7.2).
  if ((req.headersDistinct.authorization ?? []).length > 1) throw new Refusal('credentials_ambiguous')
  const header = req.get('authorization')
  const scheme = schemeOf(header)
  if (header === undefined || (scheme !== 'bearer' && scheme !== 'dpop'))
    throw new Refusal('credentials_missing')
  const token = parseBearer(header)
  if ('access_token' in req.query || isInForm(req)) throw new Refusal('credentials_ambiguous')
  return { scheme, token }
}

function isInForm(req: Request): boolean {
  const contentType = req.get('content-type')
  if (contentType === undefined || !FORM_TYPE.test(contentType)) return false
  return parseForm(contentType, req.body).has('access_token')
}
