import { Refusal } from '../../errors.ts'

/** Whose request it is, once that is proven. */
export type Sender = { accountId: string; accountName: string; organizationId: string; keyId: string }

/** Runs a decision. Its refusals tell the operator, and the trail, whose request was refused. */
export function decideFor<Decision>(sender: Sender, decide: () => Decision): Decision & Sender {
  try {
    return { ...sender, ...decide() }
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal(error.reason, { ...sender, ...error.detail }, error.told)
    throw error
  }
}
