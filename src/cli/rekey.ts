import { totpSecretId } from '../authentication/second-factor-code.ts'
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import type { Db } from '../database/connect.ts'
import { prepareSchema } from '../database/open.ts'
import { preparePartitions } from '../database/partitions.ts'
import { findOperatorOrganization } from '../database/queries/organizations.ts'
import { listWrapped, replaceWrapped, type WrappedColumn } from '../database/queries/wrapped-secrets.ts'
import { transact } from '../database/transaction.ts'
import { systemActor } from '../directory/actor.ts'
import { recordChanges } from '../directory/audit.ts'
import { clientSecretId } from '../directory/identity-providers.ts'
import { OperatorError } from '../errors.ts'
import { isWrappedByFirst, type KeyEncryptionKeys, unwrap, wrap } from '../signing/envelope.ts'
import { loadKeyEncryptionKeys } from '../signing/key-encryption-keys.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'
import { withDatabase } from './with-database.ts'

type Kind = WrappedColumn & {
  /** In the plural, for people. */
  name: string
  /** By what a secret is bound to its row. */
  boundTo: (id: string) => string
}

/** Everything that is stored wrapped. A column that is not here stays under the former key for ever. */
export const KINDS: readonly Kind[] = [
  {
    name: 'signing keys',
    table: 'signing_keys',
    idColumn: 'id',
    column: 'wrapped_private_key',
    boundTo: (id) => id,
  },
  {
    name: 'second factors',
    table: 'administrator_credentials',
    idColumn: 'account_id',
    column: 'wrapped_totp_secret',
    boundTo: totpSecretId,
  },
  {
    name: 'client secrets at identity providers',
    table: 'identity_providers',
    idColumn: 'organization_id',
    column: 'wrapped_client_secret',
    boundTo: clientSecretId,
  },
]

/** Secrets that one transaction wraps anew: whoever needs one of them waits for no more than that. */
const SECRETS_PER_TRANSACTION = 200

/** How many were wrapped anew, how many under the first key already, and whose nothing opens. */
type Report = { name: string; rewrapped: number; found: number; closed: string[] }

/**
 * Wraps everything that is stored encrypted under the first key-encryption key of the configuration, while servers
 * run. Doing it again does no harm, and shows that nothing was left.
 * Throws OperatorError when there is something that none of the keys opens.
 */
export async function rekey(flags: ConfigurationFlags): Promise<void> {
  const config = readConfig(toSettings(flags))
  const keys = await loadKeyEncryptionKeys(config)
  await withDatabase(config, async (database) => {
    await prepareSchema(database, config)
    // Audit events need their partition.
    await preparePartitions(database.db, systemClock.now())
    const reports: Report[] = []
    for (const kind of KINDS) {
      const report = await rewrapAll(database.db, kind, keys)
      process.stdout.write(`${describe(report)}\n`)
      reports.push(report)
    }
    requireOpened(reports)
    process.stdout.write(`${conclude(reports, keys)}\n`)
  })
}

async function rewrapAll(db: Db, kind: Kind, keys: KeyEncryptionKeys): Promise<Report> {
  const report: Report = { name: kind.name, rewrapped: 0, found: 0, closed: [] }
  let after = ''
  for (;;) {
    const secrets = await listWrapped(db, kind, { after, limit: SECRETS_PER_TRANSACTION })
    const last = secrets.at(-1)
    if (last === undefined) return report
    after = last.id
    const stale = secrets.filter(({ id, wrapped }) => !isWrappedByFirst(wrapped, keys, kind.boundTo(id)))
    const opened = stale.flatMap(({ id, wrapped }) => {
      const secret = openOrUndefined(wrapped, keys, kind.boundTo(id))
      if (secret === undefined) report.closed.push(id)
      return secret === undefined ? [] : { id, wrapped, rewrapped: wrap(secret, keys, kind.boundTo(id)) }
    })
    report.found += secrets.length - stale.length
    if (opened.length > 0) report.rewrapped += await replace(db, kind, opened)
  }
}

async function replace(db: Db, kind: Kind, secrets: Parameters<typeof replaceWrapped>[2]): Promise<number> {
  return transact(db, async (trx) => {
    const count = await replaceWrapped(trx, kind, secrets)
    const organization = await findOperatorOrganization(trx)
    if (count > 0 && organization !== undefined) {
      await recordChanges(trx, systemActor, systemClock.now(), [
        {
          organizationId: organization.id,
          action: 'installation.rekeyed',
          target: null,
          changes: { after: { rewrapped: kind.name, count } },
        },
      ])
    }
    return count
  })
}

function openOrUndefined(wrapped: Buffer, keys: KeyEncryptionKeys, id: string): Buffer | undefined {
  try {
    return unwrap(wrapped, keys, id)
  } catch {
    return undefined
  }
}

function describe({ name, rewrapped, found, closed }: Report): string {
  const parts = [`${rewrapped} wrapped anew`, `${found} under the first key already`]
  if (closed.length > 0) parts.push(`${closed.length} that no key opens`)
  return `${name}: ${parts.join(', ')}`
}

function requireOpened(reports: readonly Report[]): void {
  const closed = reports.flatMap((report) => report.closed)
  if (closed.length === 0) return
  throw new OperatorError(
    `None of the key-encryption keys opens what is stored for ${closed.slice(0, 10).join(', ')}${closed.length > 10 ? ' and others' : ''}. ` +
      'Put the key that it was wrapped with after the others, and run this again.',
  )
}

function conclude(reports: readonly Report[], [, ...others]: KeyEncryptionKeys): string {
  if (reports.some((report) => report.rewrapped > 0)) {
    return 'Everything is under the first key now. Run this again to see that nothing was added under another meanwhile.'
  }
  return others.length === 0
    ? 'Everything is under the one key.'
    : 'Everything is under the first key. If every node has it first, the others can go.'
}
