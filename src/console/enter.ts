import { type PasswordSignIn, signInWithPassword } from '../authentication/password-sign-in.ts'
import { Refusal } from '../errors.ts'
import type { Reply, Visit } from './visit.ts'

/** Signs somebody in who has just chosen their password; where that is refused they are asked for it in the usual way. */
export async function enter(
  { services, root, facts }: Visit,
  given: PasswordSignIn,
  done: string,
): Promise<Reply> {
  try {
    const { secret, awaitsSecondFactor } = await signInWithPassword(services, given, facts)
    return { to: awaitsSecondFactor ? `${root}/sign-in/code` : `${root}/`, session: secret, done }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { to: `${root}/sign-in`, done }
  }
}
