import { signOut as endSession } from '../../authentication/sessions.ts'
import type { Reply, SessionVisit } from '../visit.ts'

export async function signOut({ services, root, secret, facts }: SessionVisit): Promise<Reply> {
  await endSession(services, secret, facts)
  return { to: `${root}/sign-in`, session: null, done: 'You are signed out.' }
}
