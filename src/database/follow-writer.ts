import pg from 'pg'
import type { DatabaseHosts } from '../database-url.ts'

/**
 * What a pool needs to keep to the server that takes writes: a connection that could not be made, or cannot write,
 * makes the next one try the next server. So a pool follows a promotion within as many attempts as there are
 * servers, and a standby's past is never taken for the present.
 */
export function followWriter({
  urls,
  mustWrite,
}: DatabaseHosts): Pick<pg.PoolConfig, 'Client' | 'onConnect'> {
  let current = 0

  class Follower extends pg.Client {
    isUsable = false

    constructor(options?: pg.ClientConfig) {
      const tried = current
      super({ ...options, connectionString: urls[tried] as string })
      this.once('end', () => {
        if (!this.isUsable && tried === current) current = (current + 1) % urls.length
      })
    }
  }

  const onConnect = async (client: pg.ClientBase) => {
    if (mustWrite) await assertWriter(client)
    if (client instanceof Follower) client.isUsable = true
  }
  return { Client: Follower, onConnect }
}

async function assertWriter(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query(
    `select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as is_read_only`,
  )
  // SQLSTATE read_only_sql_transaction: what the first write would meet.
  if (rows[0].is_read_only) throw Object.assign(new Error('the server takes no writes'), { code: '25006' })
}
