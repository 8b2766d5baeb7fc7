import { Router } from 'express'
import { allowOnly } from './methods.ts'

/** Why the server should get no requests now. */
export type Unreadiness =
  | 'draining'
  | 'database_unreachable'
  | 'migrations_pending'
  | 'signing_key_unreadable'

/**
 * `GET /health/live`: 200 as long as the process runs. `GET /health/ready`: 503 when `findUnreadiness` names a
 * cause, for load balancers. Neither needs credentials, and neither says more than one word.
 */
export function createHealthRouter(findUnreadiness: () => Promise<Unreadiness | undefined>): Router {
  const router = Router({ caseSensitive: true, strict: true })
  // Anybody may ask, as often as they like: those who ask at once share one look at the database.
  let underWay: Promise<Unreadiness | undefined> | undefined
  const look = () => {
    underWay ??= findUnreadiness().finally(() => {
      underWay = undefined
    })
    return underWay
  }
  router
    .route('/health/live')
    .get((_req, res) => {
      res.setHeader('Cache-Control', 'no-store')
      res.json({ status: 'live' })
    })
    .all(allowOnly('GET', 'HEAD'))
  router
    .route('/health/ready')
    .get(async (_req, res) => {
      const cause = await look()
      res.setHeader('Cache-Control', 'no-store')
      res
        .status(cause === undefined ? 200 : 503)
        .json(cause === undefined ? { status: 'ready' } : { status: 'unready', cause })
    })
    .all(allowOnly('GET', 'HEAD'))
  return router
}
