import { NAVIGATION } from '../navigation.ts'
import { may, type Reply, type SessionVisit } from '../visit.ts'

/** The first page that somebody may see. */
export function goHome(visit: SessionVisit): Reply {
  const { root, session, unsent } = visit
  // Who comes back from an identity provider comes here, wherever they wanted to go.
  if (unsent !== undefined) return { to: `${root}/unsent` }
  const first = NAVIGATION.find(({ permission }) => may(visit, permission))
  if (first === undefined) return { to: `${root}/security` }
  return { to: `${root}/organizations/${session.record.organizationSlug}${first.path}` }
}
