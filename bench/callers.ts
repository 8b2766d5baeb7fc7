import { generateKeyPairSync } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import type pg from 'pg'
import { newId } from '../src/ids.ts'
import type { AssertionSource } from './assertions.ts'
import { type Countersign, SCOPE } from './countersign.ts'

/** Service accounts that ask for tokens in turn: those of one kind of token each. */
export type Callers = Record<'jwt' | 'opaque', AssertionSource[]>

/** So many that no row of theirs is met twice in a batch. */
const EACH = 500
const YEAR_MILLISECONDS = 365 * 86_400_000

/**
 * Adds a thousand service accounts of a year's making, each with an ES256 key of its own and one permission. By SQL, since
 * the management API would take a minute. Their ids lie scattered among those of all accounts that are made up besides
 * (bench/fill-accounts.ts), so that load by them reads scattered pages.
 */
export async function addCallers(
  database: pg.Client,
  { issuer, subjects }: Countersign,
  now: number,
): Promise<Callers> {
  const callers: Callers = { jwt: [], opaque: [] }
  for (const kind of ['jwt', 'opaque'] as const) {
    const keys = Array.from({ length: EACH }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
    const jwks = keys.map(({ publicKey }) => publicKey.export({ format: 'jwk' }))
    const times = keys.map((_, index) => Math.floor(now - (YEAR_MILLISECONDS * (index + 1)) / (EACH + 1)))
    const accountIds = times.map((time) => newId('acc', time))
    const keyIds = times.map((time) => newId('key', time))
    const { source } = subjects[kind]
    await database.query(INSERT_ACCOUNTS, [accountIds, kind, times, source.accountId])
    await database.query(INSERT_KEYS, [
      accountIds,
      keyIds,
      await Promise.all(jwks.map((jwk) => calculateJwkThumbprint(jwk))),
      jwks.map((jwk) => JSON.stringify(jwk)),
      times,
    ])
    await database.query(INSERT_PERMISSIONS, [accountIds, subjects[kind].resource, SCOPE])
    callers[kind] = keys.map(({ privateKey }, index) => ({
      privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      keyId: keyIds[index] ?? '',
      algorithm: 'ES256' as const,
      accountId: accountIds[index] ?? '',
      issuer,
    }))
  }
  return callers
}

/** With organization and policy of an account that the management API has made. */
const INSERT_ACCOUNTS = `
  insert into accounts (id, organization_id, kind, name, slug, email, description, status, assertion_policy, created_at,
                        created_by, updated_at)
  select t.id, m.organization_id, m.kind, 'caller ' || $2 || ' ' || t.n, 'caller-' || $2 || '-' || t.n,
         'caller-' || $2 || '-' || t.n || '@bench.localhost', '', 'active', m.assertion_policy,
         to_timestamp(t.ms / 1000), m.created_by, to_timestamp(t.ms / 1000)
  from unnest($1::text[], $3::float8[]) with ordinality as t (id, ms, n) join accounts m on m.id = $4`

const INSERT_KEYS = `
  insert into keys (id, account_id, kid, name, type, algorithm, thumbprint, public_key, status, created_at, created_by,
                    updated_at)
  select t.id, t.account_id, t.id, 'key', 'public_key', 'ES256', t.thumbprint, t.jwk, 'active',
         to_timestamp(t.ms / 1000), 'system', to_timestamp(t.ms / 1000)
  from unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::float8[]) as t (account_id, id, thumbprint, jwk, ms)`

const INSERT_PERMISSIONS = `
  insert into account_permissions
  select a, s.id, $3 from unnest($1::text[]) as a, resource_servers s where s.identifier = $2`
