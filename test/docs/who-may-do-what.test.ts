import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { open, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { COMPILE_CACHE, makeFolder, type ServerProcess, startProcess } from '../support/command.ts'

const PAGE = 'docs/guides/who-may-do-what.md'
const ROOT = join(import.meta.dirname, '../..')
/** What a fresh clone has after `npm ci`, as far as the page needs it. */
const CLONE = ['package.json', 'openapi.yaml', 'src', 'migrations', 'node_modules']
/** ASCII «record separator»: stands after the output of each block. */
const SEPARATOR = '\x1e'
/** The issuer that the page shows. */
const DEFAULT_ISSUER = 'http://localhost:8080'

/** What the reader pastes, and what the page says that it prints: nothing where no output is shown. */
type Block = { heading: string; commands: string; shown: string }

const blocks = readBlocks(readFileSync(PAGE, 'utf8'))

let folder: string
let server: ServerProcess
let outputs: string[]
beforeAll(async () => {
  folder = await makeFolder()
  for (const name of CLONE) await symlink(join(ROOT, name), join(folder, name))
  // As root the default would be a link to a folder that stays.
  const env = { COUNTERSIGN_DATA_DIR: 'data', HOME: folder, NODE_COMPILE_CACHE: COMPILE_CACHE }
  server = await startProcess({ cwd: folder, env })
  outputs = await paste({ ...env, COUNTERSIGN_ISSUER: server.issuer })
  // A hundred processes, one after the other: half a minute where no other test runs.
}, 240_000)
afterAll(async () => {
  await server.end('SIGTERM')
  await rm(folder, { recursive: true, force: true })
})

describe(`${PAGE}, pasted block by block into one shell`, () => {
  test.each(blocks.map((block, index) => ({ ...block, number: index + 1 })))(
    'block $number, under “$heading”, prints what the page shows',
    ({ number, shown }) => {
      expect(outputs[number - 1]?.replaceAll(server.issuer, DEFAULT_ISSUER)).toMatch(toPattern(shown))
    },
  )

  test('leaves nothing behind but what the server keeps', async () => {
    const ours = (await readdir(folder)).filter((name) => !CLONE.includes(name) && !name.startsWith('.'))
    expect(ours.sort()).toEqual(['data', 'keys'])
  })
})

test('no block is changed by an interactive shell: nothing in it is history expansion', () => {
  expect(blocks.filter(({ commands }) => /!/.test(commands))).toEqual([])
})

/** Runs all blocks in one bash, and answers what each printed: standard output and error as a terminal shows them. */
async function paste(env: Record<string, string>): Promise<string[]> {
  const path = join(folder, '.output')
  const output = await open(path, 'w')
  const script = blocks.map(({ commands }) => `${commands}printf '\\036'\n`).join('')
  const bash = spawn('bash', ['--norc', '-s'], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['pipe', output.fd, output.fd],
  })
  bash.stdin?.end(script)
  await once(bash, 'close')
  await output.close()
  return (await readFile(path, 'utf8')).split(SEPARATOR)
}

/** Blocks marked `sh` are pasted; what is marked `text` right below one is its output. */
function readBlocks(page: string): Block[] {
  const found: Block[] = []
  let heading = ''
  for (const [, title, language, content = ''] of page.matchAll(/^## (.+)$|^```(\w+)\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title
    if (language === 'sh') found.push({ heading, commands: content, shown: '' })
    if (language === 'text') Object.assign(found.at(-1) ?? {}, { shown: content })
  }
  return found
}

/** A line of nothing but `…` stands for any lines, `…` within a line for anything on it. */
function toPattern(shown: string): RegExp {
  const lines = shown
    .split('\n')
    .map((line) =>
      line.trim() === '…' ? '(?:.*\\n)*?' : `${line.split('…').map(RegExp.escape).join('.*')}\\n`,
    )
  return new RegExp(`^${lines.slice(0, -1).join('')}$`)
}
