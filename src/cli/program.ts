import { Command } from 'commander'
import manifest from '../../package.json' with { type: 'json' }

/**
 * The whole command line on one page. Each action is loaded when it is asked for, so that `countersign token`
 * in a script need not wait for what only a server uses.
 */
export function createProgram(): Command {
  const program = new Command('countersign')
    .description('Self-hosted OAuth 2.0 authorization server for service accounts.')
    .version(manifest.version)
    .showSuggestionAfterError()
    .configureOutput({ outputError: (text, write) => write(`${toOneLine(text)} (--help tells more)\n`) })

  withConfigurationFlags(program.command('serve'))
    .description('Run the server. Without DATABASE_URL it brings a PostgreSQL of its own.')
    .option(
      '--workers <number>',
      'processes that serve, default one for each core with DATABASE_URL, up to 4',
    )
    .option(
      '--after-restore',
      'once, after the database was put back from a backup: take no assertion from before',
    )
    .addHelpText('after', example('serve --port 9000 --data-dir /var/lib/countersign/data'))
    .action(async (options) => (await import('./serve.ts')).serve(options))

  program
    .command('worker', { hidden: true })
    .description('One of several processes that serve; started by serve.')
    .action(async () => (await import('../workers/worker.ts')).runWorker())

  withConfigurationFlags(program.command('migrate'))
    .description('Bring the database schema to this version.')
    .addHelpText('after', example('migrate', 'DATABASE_URL=postgresql://countersign@db.internal/countersign'))
    .action(async (options) => (await import('./migrate.ts')).migrateDatabase(options))

  withConfigurationFlags(program.command('bootstrap'))
    .description(
      'Set the installation up and register a key of its operator. Run it again at will: what is there stays.',
    )
    .option('--public-key <file>', 'your own public key: SPKI, PKCS#1 or X.509 in PEM, or a JWK')
    .option('--name <text>', 'what the key is called', 'operator')
    .addHelpText('after', example('bootstrap --public-key operator.pub.pem'))
    .action(async (options) => (await import('./bootstrap.ts')).bootstrap(options))

  withConfigurationFlags(program.command('invite'))
    .description('Invite an administrator, or reset the password of one, and print the link once.')
    .requiredOption('--email <address>', 'the address of the person')
    .option('--name <text>', 'what the person is called, default the address')
    .option('--organization <slug>', 'the organization', 'operator')
    .option('--role <name>', 'a built-in role for a new administrator', 'owner')
    .option('--remove-second-factor', 'for an administrator who has lost it')
    .addHelpText('after', example('invite --email ada@acme.example --organization acme'))
    .action(async (options) => (await import('./invite.ts')).invite(options))

  program
    .command('token')
    .description('Sign an assertion, exchange it and print the access token.')
    .option('--key-file <file>', 'key file of a service account')
    .option('--private-key <file>', 'instead of a key file: your own private key in PEM')
    .option('--key-id <id>', 'with --private-key: the id of the key')
    .option('--account <id>', 'with --private-key: the id or email of the service account')
    .option('--issuer <url>', 'with --private-key: the issuer of the server')
    .option('--scope <scopes>', 'permissions to ask for, separated by spaces')
    .option('--resource <uri>', 'the resource server that the token is for')
    .option('--audience <uri>', 'audience of the assertion, default the issuer')
    .option('--decode', 'print what the token says instead of the token')
    .addHelpText('after', example('token --key-file keys/operator.json --scope service_accounts:read'))
    .action(async (options) => (await import('./token.ts')).printToken(options))

  program
    .command('introspect')
    .description('Ask the server about an access token, as a resource server does.')
    .argument('[token]', 'the token; standard input when absent or -', '-')
    .option('--issuer <url>', 'the issuer of the server', 'http://localhost:8080')
    .option('--resource-server <id>', 'who asks: the id of a resource server …')
    .option('--secret-file <file>', '… and a file that holds one of its secrets')
    .option('--bearer-file <file>', 'instead: a file that holds an access token with tokens:introspect')
    .addHelpText('after', example('introspect --resource-server rs_… --secret-file secret.txt < token.txt'))
    .action(async (token, options) => (await import('./introspect.ts')).introspect(token, options))

  const audit = program.command('audit').description('Look after the audit trail.')
  withConfigurationFlags(audit.command('verify'))
    .description(
      'Recompute the hash chains of the audit trail. Names the first event that was tampered with, and exits 1.',
    )
    .option('--organization <slug>', 'only the trail of this organization')
    .addHelpText('after', example('audit verify --organization acme'))
    .action(async (options) => (await import('./audit.ts')).verifyAudit(options))

  withConfigurationFlags(program.command('rekey'))
    .description(
      'Wrap everything that is stored encrypted under the first key-encryption key, while servers run.',
    )
    .addHelpText('after', example('rekey'))
    .action(async (options) => (await import('./rekey.ts')).rekey(options))

  withConfigurationFlags(program.command('check-config'))
    .description('Show every setting with its value and origin, and every fault.')
    .addHelpText('after', example('check-config'))
    .action(async (options) => (await import('./check-config.ts')).checkConfig(options))

  withConfigurationFlags(program.command('doctor'))
    .description(
      'Examine the installation: a line for each thing, with what to do. Exits 1 when one has failed.',
    )
    .option('--backup <path>', 'the newest backup, or the folder that backups are put into: how old is it?')
    .option('--json', 'print the verdicts as JSON')
    .addHelpText('after', example('doctor --backup /var/backups/countersign'))
    .action(async (options) => (await import('./doctor.ts')).doctor(options))

  withConfigurationFlags(program.command('distribute'))
    .description('Print the statements that distribute the schema over several database servers with Citus.')
    .requiredOption('--dry-run', 'print them; running them is for whoever runs the database')
    .addHelpText('after', example('distribute --dry-run | psql "$DATABASE_URL"'))
    .action(async (options) => (await import('./distribute.ts')).distribute(options))

  withConfigurationFlags(program.command('demo'))
    .description('Walk through the whole story over HTTP, with the running server or one that it starts.')
    .addHelpText('after', example('demo'))
    .action(async (options) => (await import('./demo.ts')).demo(options))

  return program
}

function withConfigurationFlags(command: Command): Command {
  return command
    .option('--port <number>', 'TCP port of the HTTP server')
    .option('--issuer <url>', 'issuer identifier')
    .option('--data-dir <folder>', 'folder of the embedded database')
    .option('--keys-dir <folder>', "folder of this installation's secrets")
}

function example(line: string, environment?: string): string {
  return `\nExample:\n  $ ${environment === undefined ? '' : `${environment} `}countersign ${line}`
}

/** Commander puts a suggestion on a line of its own. */
function toOneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, ' ')
}
