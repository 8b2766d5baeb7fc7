import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { type RequestHandler, Router } from 'express'
import { Refusal } from '../errors.ts'

/** What of packages is served, by our own name for it. Nothing else of them can be reached. */
const PACKAGED: Readonly<Record<string, string>> = {
  'normalize.css': 'modern-normalize/modern-normalize.css',
  'inter-latin.woff2': '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2',
  'inter-latin-ext.woff2': '@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2',
  'mono-latin.woff2': '@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2',
}
const OWN = new URL('./assets/', import.meta.url)
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

export type Assets = {
  /** Where a file is, below the console's root. The path changes with the content of any of the files. */
  pathOf(name: string): string
  router: Router
}

/**
 * Styles, fonts and browser modules, read once. They lie together below a path that names their version, so that
 * they can be kept for ever and refer to one another by relative paths.
 */
export function createAssets(): Assets {
  const files = readAll()
  const version = versionOf(files)
  return {
    pathOf(name) {
      if (!files.has(name)) throw new Error(`there is no asset ${name}`)
      return `/assets/${version}/${name}`
    },
    router: Router({ caseSensitive: true, strict: true }).get(
      '/assets/:version/:name',
      serve(files, version),
    ),
  }
}

function serve(files: ReadonlyMap<string, Buffer>, version: string): RequestHandler {
  return (req, res) => {
    const name = String(req.params.name)
    const content = files.get(name)
    if (content === undefined) throw new Refusal('not_found', { asset: name.slice(0, 100) })
    // While nodes of two versions run side by side a page may be of the other one: better ours than none, once.
    const isOurs = req.params.version === version
    res.setHeader('Cache-Control', isOurs ? 'public, max-age=31536000, immutable' : 'no-store')
    res.setHeader('Content-Type', TYPES[extname(name)] ?? 'application/octet-stream')
    res.setHeader('Cross-Origin-Resource-Policy', 'same-origin')
    res.end(content)
  }
}

function readAll(): ReadonlyMap<string, Buffer> {
  const { resolve } = createRequire(import.meta.url)
  const own = readdirSync(OWN).filter((name) => extname(name) in TYPES)
  return new Map([
    ...own.sort().map((name) => [name, readFileSync(new URL(name, OWN))] as const),
    ...Object.entries(PACKAGED).map(([name, path]) => [name, readFileSync(resolve(path))] as const),
  ])
}

function versionOf(files: ReadonlyMap<string, Buffer>): string {
  const hash = createHash('sha256')
  for (const [name, content] of files) hash.update(`${name} ${content.length}\n`).update(content)
  return hash.digest('base64url').slice(0, 12)
}
