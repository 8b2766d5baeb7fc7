#!/usr/bin/env node
import { createProgram } from './cli/program.ts'
import { OperatorError } from './errors.ts'

/** sysexits.h EX_SOFTWARE: a bug of ours, not a fault of the person or the machine. */
const EXIT_BUG = 70
/** The first with argon2id in node:crypto. */
const OLDEST_NODE = { major: 24, minor: 7 }

process.on('uncaughtException', (error) => {
  report(error)
  process.exit()
})
await main().catch(report)

async function main(): Promise<void> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < OLDEST_NODE.major || (major === OLDEST_NODE.major && minor < OLDEST_NODE.minor)) {
    const oldest = `${OLDEST_NODE.major}.${OLDEST_NODE.minor}`
    throw new OperatorError(
      `This is Node.js ${process.versions.node}, and Countersign needs ${oldest} or later.`,
    )
  }
  await createProgram().parseAsync()
}

/** What the person must mend is one line without a stack; anything else is a bug and shows where it is. */
function report(error: unknown): void {
  const isOperators = error instanceof OperatorError
  process.exitCode = isOperators ? 1 : EXIT_BUG
  process.stderr.write(
    isOperators ? `countersign: ${error.message}\n` : `This is a bug in Countersign.\n${describe(error)}\n`,
  )
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
