import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../clock.ts'
import { type Config, isLoopbackHost, readConfig, readNodeFlags } from '../config.ts'
import type { Db } from '../database/connect.ts'
import { readSchemaState } from '../database/migrate.ts'
import { retentionOf } from '../database/partitions.ts'
import { listPublishedSigningKeys } from '../database/queries/signing-keys.ts'
import { codeOf, OperatorError } from '../errors.ts'
import { loadKeyEncryptionKeys } from '../signing/key-encryption-keys.ts'
import { checkBackup } from './checks/backup.ts'
import { type Check, failed, ok, warning } from './checks/check.ts'
import { checkPartitions, inspectServer, judgeSchema, judgeServer } from './checks/database.ts'
import { checkIssuer } from './checks/issuer.ts'
import { checkKeyEncryptionKey, checkKeysFolder } from './checks/keys-folder.ts'
import { checkMetrics } from './checks/metrics.ts'
import { checkProcessMemory } from './checks/process-memory.ts'
import { checkSigningKeys, checkStoredSecrets } from './checks/signing-keys.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'
import { withDatabase } from './with-database.ts'

export type DoctorOptions = ConfigurationFlags & { backup?: string; json?: true }

/**
 * Examines an installation from where it runs, with the settings of a node, and prints a verdict for each thing. It
 * changes nothing, and works while nodes run. Throws OperatorError when something has failed; warnings are not failures.
 */
export async function doctor(options: DoctorOptions): Promise<void> {
  const checks = await examine(options)
  process.stdout.write(options.json ? `${JSON.stringify(toReport(checks), null, 2)}\n` : describe(checks))
  const failures = checks.filter(({ verdict }) => verdict === 'failed')
  if (failures.length > 0) {
    throw new OperatorError(`${failures.length} of ${checks.length} checks failed.`)
  }
}

async function examine(options: DoctorOptions): Promise<Check[]> {
  const given = tryConfig(options)
  if ('fault' in given) return [given.fault]
  const { config } = given
  const local = [
    checkConfiguration(config),
    await checkProcessMemory(readNodeFlags()),
    await checkKeysFolder(config),
    await checkKeyEncryptionKey(config),
  ]
  const { checks: stored, activeKids } = await examineDatabase(config)
  return [
    ...local,
    ...stored,
    ...(await checkIssuer(config.issuer, { activeKids, now: systemClock.now() })),
    await checkMetrics(config),
    ...(options.backup === undefined ? [] : [await checkBackup(options.backup, systemClock.now())]),
  ]
}

function tryConfig(options: DoctorOptions): { config: Config } | { fault: Check } {
  try {
    return { config: readConfig(toSettings(options)) }
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return { fault: failed('configuration', error.message, 'countersign check-config shows every setting.') }
  }
}

function checkConfiguration({ production, issuer, database }: Config): Check {
  const name = 'configuration'
  if (production) return ok(name, `sound, and NODE_ENV is production; the issuer is ${issuer}`)
  const isForTrying = isLoopbackHost(new URL(issuer).hostname) && database.kind === 'embedded'
  const found = `sound, and NODE_ENV is not production; the issuer is ${issuer}`
  if (isForTrying) return ok(name, found)
  return warning(
    name,
    found,
    'Set NODE_ENV=production: then the server refuses to start where that is not safe.',
  )
}

/** The checks that ask the database. Where it cannot be asked they are one. */
async function examineDatabase(config: Config): Promise<{ checks: Check[]; activeKids: string[] }> {
  if (!(await hasData(config))) {
    const advice = 'Start a node, or name the folder of the one that runs: --data-dir.'
    return { checks: [failed('database', 'the embedded database has no data yet', advice)], activeKids: [] }
  }
  try {
    return await withDatabase(config, async ({ db }) => {
      const { facts, clock } = await inspectServer(db, systemClock.now)
      const schema = judgeSchema(await readSchemaState(db))
      const checks = [...judgeServer(facts, config), clock, schema]
      // What the tables hold is read as this version knows them.
      if (schema.verdict !== 'ok') return { checks, activeKids: [] }
      checks.push(...(await examineRecords(db, config)))
      const published = await listPublishedSigningKeys(db)
      return { checks, activeKids: published.filter(({ status }) => status === 'active').map(({ id }) => id) }
    })
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    const advice = 'The other checks of the database could not be made.'
    return { checks: [failed('database', error.message, advice)], activeKids: [] }
  }
}

/** Opening an embedded database that is not there would make one. */
async function hasData({ database }: Config): Promise<boolean> {
  if (database.kind === 'external') return true
  const marker = join(database.dataDir ?? 'data', 'PG_VERSION')
  return access(marker).then(
    () => true,
    (error) => codeOf(error) !== 'ENOENT',
  )
}

async function examineRecords(db: Db, config: Config): Promise<Check[]> {
  const now = systemClock.now()
  const checks = [
    await checkPartitions(db, now, retentionOf(config)),
    await checkSigningKeys(db, now, config.signingKeyRotationDays),
  ]
  // A key that is not there has its own line.
  const keys = await loadKeyEncryptionKeys({ ...config, production: true }).catch(() => undefined)
  return keys === undefined ? checks : [...checks, await checkStoredSecrets(db, keys)]
}

const WORDS = { ok: 'ok', warning: 'warning', failed: 'FAILED' } as const

function describe(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length)) + 2
  return checks
    .map((check) => {
      const line = `${WORDS[check.verdict].padEnd(9)}${check.name.padEnd(width)}${toOneLine(check.found)}`
      return check.verdict === 'ok' ? `${line}\n` : `${line}. ${check.advice}\n`
    })
    .join('')
}

/** The faults of a configuration stand on lines of their own. */
function toOneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').replace(/\.$/, '')
}

function toReport(checks: readonly Check[]) {
  const worst = (['failed', 'warning', 'ok'] as const).find((verdict) =>
    checks.some((check) => check.verdict === verdict),
  )
  return { verdict: worst, checks }
}
