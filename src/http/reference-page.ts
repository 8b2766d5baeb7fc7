import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { type RequestHandler, Router } from 'express'
import { load } from 'js-yaml'
import { contractPath } from './contract.ts'
import { allowOnly } from './methods.ts'

/**
 * The explorer draws the page in the browser and writes styles into it, so these may be inline here, and only
 * here. Scripts may not, and nothing is asked of another server.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  'img-src data:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Page and contract change with a release only. */
const CACHE_CONTROL = 'public, max-age=300'

/** The explorer's bundle: what the build puts beside this file, else the package that it comes from. */
const BUILT_EXPLORER = './openapi-explorer.min.js'
const PACKAGED_EXPLORER = 'openapi-explorer/dist/browser/openapi-explorer.min.js'

/**
 * The API reference at `/docs`, drawn from openapi.yaml, which is at `/docs/openapi.yaml` and, as JSON, at
 * `/docs/openapi.json`. `/docs/problems` is where the `type` of every problem leads (RFC 9457 §3.1.1).
 * Everything comes from this server; nothing is asked of another. The pages only show: they have no place for
 * a token and send no requests to the API.
 */
export function createReferencePage(): Router {
  const yaml = readFileSync(contractPath(), 'utf8')
  const contract = load(yaml) as Contract
  const files: Record<string, [type: string, body: string]> = {
    '/docs': ['text/html', PAGE],
    '/docs/problems': ['text/html', drawProblems(contract['x-problems'])],
    '/docs/openapi.yaml': ['application/yaml', yaml],
    '/docs/openapi.json': ['application/json', JSON.stringify(contract)],
    '/docs/page.css': ['text/css', STYLE],
    ...readExplorer(),
  }
  // Strict: the page's links are relative, so that it works below any path, and a slash more would bend them.
  const router = Router({ strict: true, caseSensitive: true })
  for (const [path, [type, body]] of Object.entries(files)) {
    router.route(path).get(show(type, body)).all(allowOnly('GET', 'HEAD'))
  }
  router.get('/docs/', (_req, res) => res.redirect(308, '../docs'))
  return router
}

/** Where the explorer's bundle lies on this disk; undefined when it is not installed. Also asked by the build. */
export function findExplorer(): string | undefined {
  const built = fileURLToPath(new URL(BUILT_EXPLORER, import.meta.url))
  if (existsSync(built)) return built
  try {
    return createRequire(import.meta.url).resolve(PACKAGED_EXPLORER)
  } catch {
    return undefined
  }
}

/** Without the bundle the page still links to the contract. */
function readExplorer(): Record<string, [type: string, body: string]> {
  const path = findExplorer()
  return path === undefined ? {} : { '/docs/explorer.js': ['text/javascript', readFileSync(path, 'utf8')] }
}

function show(type: string, body: string): RequestHandler {
  return (_req, res) => {
    res.setHeader('Content-Security-Policy', POLICY)
    res.setHeader('Cache-Control', CACHE_CONTROL)
    res.type(type).send(body)
  }
}

/** The part of openapi.yaml that is drawn here and not in the browser. */
type Contract = { 'x-problems': readonly { code: string; status: number; meaning: string }[] }

/** One heading for each code, which is also the fragment of its `type`. */
function drawProblems(problems: Contract['x-problems']): string {
  const sections = problems.map(
    ({ code, status, meaning }) =>
      `<section id="${code}"><h2>${code} <small>${status}</small></h2><p>${toHtml(meaning)}</p></section>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Countersign problems</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="page.css">
</head>
<body>
  <header>
    <h1>Countersign <small>problems of the management API, by code</small></h1>
    <nav><a href="../docs">API reference</a></nav>
  </header>
  <main>
    ${sections.join('\n    ')}
  </main>
</body>
</html>
`
}

function toHtml(text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return escaped.replaceAll(/`([^`]+)`/g, '<code>$1</code>')
}

const PAGE = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Countersign API reference</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="docs/page.css">
  <script type="module" src="docs/explorer.js"></script>
</head>
<body>
  <header>
    <h1>Countersign <small>API reference</small></h1>
    <nav><a href="docs/openapi.yaml">openapi.yaml</a> <a href="docs/openapi.json">openapi.json</a></nav>
  </header>
  <noscript>This page is drawn by JavaScript. Without it, read openapi.yaml.</noscript>
  <openapi-explorer spec-url="docs/openapi.json" hide-console hide-authentication hide-server-selection
    hide-components display-nulls schema-expand-level="3"
    primary-color="#0b5cad" secondary-color="#0b5cad" text-color="#1f2933" bg-color="#ffffff"
    nav-bg-color="#f4f6f8" nav-text-color="#1f2933" nav-hover-bg-color="#e1e8ef" nav-hover-text-color="#0b5cad">
  </openapi-explorer>
</body>
</html>
`

const STYLE = `:root {
  --font-regular: system-ui, sans-serif;
  --font-mono: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
body { margin: 0; height: 100vh; display: flex; flex-direction: column; font-family: var(--font-regular); color: #1f2933; }
header { display: flex; align-items: baseline; justify-content: space-between; gap: 1rem; padding: 0.75rem 1.5rem; border-bottom: 1px solid #cbd2d9; }
h1 { margin: 0; font-size: 1.25rem; }
main { padding: 0 1.5rem 2rem; max-width: 45rem; }
h2 { margin: 1.5rem 0 0.25rem; font-size: 1rem; font-family: var(--font-mono); }
p { margin: 0; }
section:target { background: #fff3c4; }
small { font-size: 1rem; font-weight: normal; color: #52606d; }
nav a { margin-left: 1rem; color: #0b5cad; }
noscript { padding: 1rem 1.5rem; }
openapi-explorer { flex: 1; min-height: 0; }
`
