import { readFileSync } from 'node:fs'
import { readdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { COMPILE_CACHE, makeFolder, type ServerProcess, startProcess } from '../support/command.ts'
import { pasteBlocks, readBlocks, toPattern } from '../support/pasted-page.ts'

const PAGE = 'docs/guides/who-may-do-what.md'
const ROOT = join(import.meta.dirname, '../..')
/** What a fresh clone has after `npm ci`, as far as the page needs it. */
const CLONE = ['package.json', 'openapi.yaml', 'src', 'migrations', 'node_modules']
/** The issuer that the page shows. */
const DEFAULT_ISSUER = 'http://localhost:8080'

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
  outputs = await pasteBlocks(blocks, { folder, env: { ...env, COUNTERSIGN_ISSUER: server.issuer } })
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
