import type { RequestFacts } from '../directory/actor.ts'
import type { RefusedAccount } from '../directory/refusals.ts'
import { Refusal } from '../errors.ts'
import type { AuthenticationServices } from './services.ts'

/**
 * Runs a task; when it is refused, the trail of the account's organization says so, if there is an account. The
 * note is written after the answer, so that its time does not tell whether there is one.
 */
export async function noting<Result>(
  { refusals }: Pick<AuthenticationServices, 'refusals'>,
  account: RefusedAccount | undefined,
  request: RequestFacts,
  task: () => Promise<Result>,
): Promise<Result> {
  try {
    return await task()
  } catch (error) {
    if (!(error instanceof Refusal) || account === undefined) throw error
    const { accountId, accountName, accountKind, organizationId } = account
    const facts = { ...error.detail, accountId, accountName, accountKind, organizationId }
    const refusal = new Refusal(error.reason, facts, error.told)
    refusals.note(refusal, request)
    throw refusal
  }
}
