import { type Html, html } from '../html.ts'
import { codeBlock } from './copy.ts'

/** A request to the management API; `path` is below its root. */
export type ApiRequest = { method: string; path: string; body?: unknown }

/** A request as a line for the terminal, with this server's real address. */
export function curl(issuer: string, { method, path, body }: ApiRequest): string {
  const lines = [
    `curl -sS ${method === 'GET' ? '' : `-X ${method} `}${quote(`${issuer}/api/v1${path}`)}`,
    '-H "Authorization: Bearer $TOKEN"',
    ...(body === undefined
      ? []
      : [`-H 'Content-Type: application/json'`, `-d ${quote(JSON.stringify(body))}`]),
  ]
  return lines.join(' \\\n  ')
}

/** At the bottom of every page about an object: the requests that do the same over HTTP. */
export function apiDisclosure(issuer: string, requests: readonly (ApiRequest & { title: string })[]): Html {
  return html`<details class="api">
  <summary>API</summary>
  <p>The same over HTTP. <code>TOKEN</code> is an access token for the management API; <a href="${issuer}/docs">the reference</a> has every call.</p>
  ${requests.map((request) => html`<h3>${request.title}</h3>${codeBlock(curl(issuer, request), `the request: ${request.title}`)}`)}
</details>`
}

/** For a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
