import type { IncomingMessage } from 'node:http'
import type { SenderConstraint } from '../database/tables.ts'
import { type PrivateDetail, Refusal } from '../errors.ts'
import type { Nonces } from '../possession/nonces.ts'
import type { ProofVerifier, VerifiedProof } from '../possession/proof.ts'
import type { Binding, GrantDecision } from '../tokens/issue.ts'
import type { Sender } from './grants/sender.ts'

export type SenderConstraintServices = {
  tokenEndpoint: string
  verifyProof: ProofVerifier
  nonces: Nonces
  /** The thumbprint of the certificate with which the client has come. Throws Refusal `certificate_malformed`. */
  findCertificate: (req: IncomingMessage) => string | undefined
}

/** What the sender of a token request has proven to hold. */
export type Possession = { proof: VerifiedProof | undefined; certificate: string | undefined }

/**
 * What the sender proves to hold, by a DPoP proof (RFC 9449 §5) or a client certificate (RFC 8705 §3). A proof that
 * does not hold is refused, never overlooked. Throws Refusal `proof_…` or `certificate_malformed`.
 */
export function readPossession(req: IncomingMessage, services: SenderConstraintServices): Possession {
  const certificate = services.findCertificate(req)
  const header = req.headers.dpop
  if (typeof header !== 'string') return { proof: undefined, certificate }
  const request = { method: req.method ?? '', target: services.tokenEndpoint, accessToken: undefined }
  return { proof: services.verifyProof(header, request), certificate }
}

/**
 * What the token that was decided on is bound to. A proof asks for a binding, so it is refused where the resource
 * server would not look at it; a certificate is there whatever the client wants, and binds where it is looked at. One
 * of both at most: resource servers look for one.
 * Throws Refusal `proof_required`, `binding_unsupported` or `binding_ambiguous`. Pure.
 */
export function bindToken(
  decision: Sender & Pick<GrantDecision, 'target' | 'requiresProof'>,
  { proof, certificate }: Possession,
): Binding {
  const { target, requiresProof } = decision
  const isChecked = (constraint: SenderConstraint) =>
    target.resourceServer.senderConstraints.includes(constraint)
  const sender = senderOf(decision)
  if (proof === undefined) {
    if (requiresProof) throw new Refusal('proof_required', sender)
    const isBound = certificate !== undefined && isChecked('mtls')
    return { confirmation: isBound ? { 'x5t#S256': certificate } : null, proof: null }
  }
  if (!isChecked('dpop')) {
    throw new Refusal('binding_unsupported', { ...sender, audience: target.resourceServer.identifier })
  }
  if (certificate !== undefined && isChecked('mtls')) throw new Refusal('binding_ambiguous', sender)
  return { confirmation: { jkt: proof.jkt }, proof: proof.use }
}

/** For the trail: the account is known by now. */
function senderOf({ accountId, accountName, organizationId, keyId }: Sender): PrivateDetail {
  return { accountId, accountName, organizationId, keyId }
}
