import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, rmSync } from 'node:fs'
import { basename } from 'node:path'
import { findExplorer } from '../src/http/reference-page.ts'

/**
 * Makes the JavaScript package in `dist`: the sources and migrations compiled, and what the reference page
 * needs of a package that is only there while developing. What the console sends to browsers goes there as it is.
 */
rmSync('dist', { recursive: true, force: true })
execFileSync('tsc', ['--project', 'tsconfig.build.json'], { stdio: 'inherit' })
chmodSync('dist/src/main.js', 0o755)
cpSync('src/console/assets', 'dist/src/console/assets', {
  recursive: true,
  filter: (path) => !path.endsWith('.json'),
})

const explorer = findExplorer()
if (explorer === undefined) throw new Error('openapi-explorer is not installed: run npm ci')
copyFileSync(explorer, `dist/src/http/${basename(explorer)}`)
