import type { KeyStatus } from '../database/tables.ts'
import { type PrivateDetail, Refusal } from '../errors.ts'

/** The checks of a token request that bears an assertion, in the order in which the token endpoint makes them. */
export type CheckName =
  | 'size'
  | 'form'
  | 'typ'
  | 'iss'
  | 'organization'
  | 'account'
  | 'key'
  | 'algorithm'
  | 'signature'
  | ClaimCheckName
  | 'target'
  | 'proof'
  | 'limit'
  | 'replay'

/** Those that judge what a verified assertion says. */
export type ClaimCheckName = 'sub' | 'aud' | 'exp' | 'nbf' | 'iat' | 'lifetime' | 'jti' | 'scope'

/** `open`: it cannot be made, because what it judges is not known. */
export type Check = {
  name: CheckName
  verdict: 'holds' | 'fails' | 'open'
  /** Of one that fails. */
  refusal: Refusal | undefined
  /** What was received and what would have held, whatever the verdict. */
  facts: PrivateDetail
}

/** A check of a claim that has not been made yet; `run` is undefined where it cannot be. */
export type ClaimCheck = {
  name: ClaimCheckName
  facts: PrivateDetail
  run: (() => unknown) | undefined
}

/** A key that came into question. Times are null where there is no bound. */
export type ExplainedKey = {
  id: string
  algorithm: string
  status: KeyStatus
  notBefore: Date | null
  expiresAt: Date | null
}

/** What is asked: how would a token request with this assertion end, if it was sent now? */
export type ExplainRequest = {
  /** Accounts of other organizations are not known here, whoever asks. */
  organizationId: string
  /** undefined for what the assertion's `typ` says; without a word there it is a grant. */
  kind: AssertionUse | undefined
  assertion: string
  /** The form's other parameters; undefined where it has none. */
  scope: string | undefined
  resource: string | undefined
}

/** RFC 7523 §2.1 or §2.2. */
export type AssertionUse = 'grant' | 'client'

export type Explanation = {
  kind: AssertionUse
  /** Seconds since 1970, by which everything was judged. */
  now: number
  checks: readonly Check[]
  /** What the token endpoint refuses it for, by its own code; undefined when it would give a token. */
  refusal: Refusal | undefined
  /** What the caller would hear of that. */
  told: { status: number; error: string; description: string } | undefined
  /** What the assertion says, as far as it can be read. Nothing of it may be believed. */
  jwt: { header: Readonly<Record<string, unknown>>; claims: Readonly<Record<string, unknown>> } | undefined
  /** The account of this organization that `iss` names. */
  account: { id: string; name: string } | undefined
  /** The key that signed, or the first that came into question. */
  key: ExplainedKey | undefined
  /** What the token would be; undefined where that cannot be said. */
  token: ExplainedToken | undefined
}

export type ExplainedToken = {
  subject: string
  audience: string
  scope: readonly string[]
  format: string
  lifetimeSeconds: number
}

/** Makes checks one after the other, goes on where one fails, and keeps what each has found. */
export type Protocol = {
  checks: readonly Check[]
  /** Answers what the check answers; undefined when it fails, or is open since `run` is undefined. */
  judge<Value>(name: CheckName, facts: PrivateDetail, run: (() => Value) | undefined): Value | undefined
}

export function openProtocol(): Protocol {
  const checks: Check[] = []
  return {
    checks,
    judge(name, facts, run) {
      const { value, refusal } = attempt(run)
      const verdict = run === undefined ? 'open' : refusal === undefined ? 'holds' : 'fails'
      checks.push({ name, verdict, refusal, facts })
      return value
    },
  }
}

function attempt<Value>(run: (() => Value) | undefined): {
  value: Value | undefined
  refusal: Refusal | undefined
} {
  try {
    return { value: run?.(), refusal: undefined }
  } catch (error) {
    if (error instanceof Refusal) return { value: undefined, refusal: error }
    throw error
  }
}
