import { readFileSync } from 'node:fs'
import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  COMPILE_CACHE,
  MAIN,
  makeFolder,
  type ServerProcess,
  startProcess,
  urlOf,
} from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { pasteBlocks, readBlocks, toPattern } from '../support/pasted-page.ts'

const PAGE = 'docs/incidents.md'
const blocks = readBlocks(readFileSync(PAGE, 'utf8'))

let folder: string
let database: TestDatabase
let server: ServerProcess
let outputs: string[]
beforeAll(async () => {
  folder = await makeFolder()
  database = await createTestDatabase()
  const env = { DATABASE_URL: urlOf(database), HOME: folder, NODE_COMPILE_CACHE: COMPILE_CACHE }
  server = await startProcess({ cwd: folder, env })
  await symlink(join(folder, 'keys/operator.json'), join(folder, 'operator.json'))
  outputs = await pasteBlocks(blocks, {
    folder,
    env: { ...env, COUNTERSIGN_ISSUER: server.issuer },
    // The command, and an account whose key has got two tokens and then leaked.
    preamble: `
countersign() { '${process.execPath}' '${MAIN}' "$@"; }
node() { '${process.execPath}' "$@"; }
call() {
  curl -sS -X "$1" "$COUNTERSIGN_ISSUER/api/v1$2" -H "Authorization: Bearer $(countersign token --key-file operator.json)" \\
    -H 'Content-Type: application/json' \${3:+-d "$3"}
}
part() { node -e "const part = JSON.parse(require('fs').readFileSync(0))$1; console.log(typeof part === 'string' ? part : JSON.stringify(part))"; }
ORGANIZATION=$(call POST /organizations '{"slug": "acme", "name": "Acme"}' | part .id)
call POST /resource-servers '{"identifier": "https://books.example.com", "name": "Books", "permissions": [
  {"name": "read", "description": "Read"}]}' > server.json
call POST "/organizations/$ORGANIZATION/service-accounts" '{"name": "billing", "permissions": [
  {"resource_server_id": "'$(part .id < server.json)'", "permission": "read"}], "initial_key": {"type": "rsa"}}' |
  part .initial_key.key_file > leaked.json
for TIME in once again; do countersign token --key-file leaked.json --resource https://books.example.com | cut -c1-3; done
`,
  })
}, 240_000)
afterAll(async () => {
  await server.end('SIGTERM')
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

describe(`${PAGE}, pasted block by block into one shell`, () => {
  test.each(blocks.map((block, index) => ({ ...block, number: index + 1 })))(
    'block $number, under “$heading”, prints what the page shows',
    ({ number, shown }) => expect(outputs[number - 1]).toMatch(toPattern(shown)),
  )
})
