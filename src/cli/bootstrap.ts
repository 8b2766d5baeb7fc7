import { systemClock } from '../clock.ts'
import { type Config, readConfig } from '../config.ts'
import { prepareSchema } from '../database/open.ts'
import { preparePartitions } from '../database/partitions.ts'
import { ensureInstallation } from '../directory/installation.ts'
import { createKeyPairGenerator, ONE_PAIR } from '../directory/key-pair.ts'
import { registerOperatorKey } from '../directory/operator-key.ts'
import {
  createOperatorKeyFile,
  foreignFile,
  type OperatorOwner,
  readOperatorKeyFile,
} from '../directory/operator-key-file.ts'
import type { DirectoryServices } from '../directory/services.ts'
import { OperatorError, Refusal } from '../errors.ts'
import { readNamedFile } from './files.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'
import { COMMAND } from './invocation.ts'
import { withDatabase } from './with-database.ts'

export type BootstrapOptions = ConfigurationFlags & { publicKey?: string; name: string }

/**
 * Sets the installation up where it is not, and gives its operator a key: the public key of the given file, or
 * outside of production a generated pair whose private half goes to the keys folder. What is there stays.
 */
export async function bootstrap(options: BootstrapOptions): Promise<void> {
  const config = readConfig(toSettings(options))
  const publicKey = options.publicKey && (await readNamedFile(options.publicKey, 'a public key'))
  if (publicKey === undefined && config.production) {
    throw new OperatorError(
      'In production no private key is made on the server. Make a pair elsewhere and give its public half: ' +
        'countersign bootstrap --public-key FILE',
    )
  }
  const report = await withDatabase(config, async (database) => {
    await prepareSchema(database, config)
    const services = createServices(config, database.db)
    // Audit events need their partition.
    await preparePartitions(database.db, systemClock.now())
    const { organization, account } = await ensureInstallation(database.db, services)
    if (account === undefined) {
      throw new OperatorError(
        'The account operator was deleted. Another owner of the platform can create accounts.',
      )
    }
    const owner = { organization, account }
    return publicKey === undefined
      ? generate(services, config, owner)
      : register(services, owner, { publicKey, name: options.name })
  })
  process.stdout.write(`${report}\n`)
}

function createServices(config: Config, db: DirectoryServices['db']): DirectoryServices {
  return { db, clock: systemClock, issuer: config.issuer, generateKeyPair: createKeyPairGenerator(ONE_PAIR) }
}

async function generate(services: DirectoryServices, config: Config, owner: OperatorOwner): Promise<string> {
  const withFolder = { ...services, keysDir: config.keysDir }
  const found = await readOperatorKeyFile(withFolder, owner)
  if (found.state === 'foreign') throw foreignFile(found.path)
  const file =
    found.state === 'present'
      ? found
      : await createOperatorKeyFile(withFolder, owner, { evenIfItHasKeys: true }).catch(rethrowRefusal)
  return [
    file.state === 'created'
      ? `Wrote a new key of the operator to ${file.path}.`
      : `${file.path} is there already.`,
    `Try: ${COMMAND} token --key-file ${file.path}`,
  ].join('\n')
}

/** The same key again is no fault: the command may stand in a deployment's script. */
async function register(
  services: DirectoryServices,
  owner: OperatorOwner,
  given: { publicKey: string; name: string },
): Promise<string> {
  const { key, isNew } = await registerOperatorKey(services, owner, given).catch(rethrowRefusal)
  const outcome = isNew ? 'Registered the key' : 'The key is registered already'
  return [
    `${outcome}: ${key.id} (${key.algorithm}) of the account ${owner.account.id}.`,
    `Try, where the private key is: ${COMMAND} token --private-key PRIVATE_KEY.pem --key-id ${key.kid} \\`,
    `  --account ${owner.account.id} --issuer ${services.issuer}`,
  ].join('\n')
}

/** At the command line a refusal is a fault of the file that was given. */
function rethrowRefusal(error: unknown): never {
  if (!(error instanceof Refusal)) throw error
  const faults = error.told.faults?.map(({ detail }) => toClause(detail)).join('; ')
  throw new OperatorError(
    `The key is refused: ${error.told.hint ?? faults ?? error.reason.replaceAll('_', ' ')}`,
  )
}

/** Some faults are said of the member that they point at: «is empty». */
function toClause(detail: string): string {
  return /^(is|must|has|looks) /.test(detail) ? `it ${detail}` : detail
}
