import type { KeyRow } from '../../database/tables.ts'
import type { KeySecret } from '../../directory/prepared-key.ts'
import { html } from '../html.ts'
import type { Page } from '../visit.ts'
import { codeBlock, copyAction, copyButton } from './copy.ts'

type Made = { key: KeyRow; secret: KeySecret; account: { id: string; slug: string }; issuer: string }

/** How a secret is handed over: what it is called, the file it goes to, and how it is used. */
export type Handover = {
  what: string
  text: string
  file?: { name: string; type: string; isBase64?: boolean }
  use: string
  /** What opens the file, shown once like it. */
  password?: string
}

/** The page that shows the secret of a key, once. */
export function shownOncePage(made: Made, next: string): Page {
  return handoverPage(handOver(made), next)
}

/**
 * The page that shows a secret, once: calm, numbered by what to do. The secret is masked until it is asked for, and can be
 * copied or saved without being seen. It stands in this answer and nowhere else.
 */
export function handoverPage({ what, text, file, use, password }: Handover, next: string): Page {
  return {
    title: `Store ${what}`,
    scripts: ['shown-once.js'],
    content: html`<div class="shown-once" data-shown-once>
  <h1>Store ${what}</h1>
  <p class="purpose">You see it this once. Countersign keeps only what verifies it; nobody can show it again.</p>
  <ol class="steps">
    <li><h2>Store it</h2>
      <p>Where the program that uses it reads its secrets. Not in a repository, a chat or a mail.</p>
      <div class="button-row">
        ${file && html`<button class="button primary" type="button" hidden data-download="${file.name}" data-type="${file.type}"${file.isBase64 && html` data-base64`} data-from="secret">Download ${file.name}</button>`}
        ${file === undefined ? copyAction(text, `Copy ${what}`) : copyButton(text, what)}
      </div>
      <details class="masked"><summary>Show ${what}</summary><pre id="secret" tabindex="0" aria-label="${what}"><code>${text}</code></pre></details>
      ${password !== undefined && html`<p>The password of the file, as new as the file and shown as seldom: <span class="copyable"><code class="masked-text">${password}</code>${copyButton(password, 'the password')}</span></p>`}
    </li>
    <li><h2>Use it</h2>${codeBlock(use, 'how to use it')}</li>
    <li><h2>Confirm</h2>
      <form class="form" method="get" action="${next}">
        <label class="option"><input type="checkbox" required data-stored><span class="option-label">I have stored it</span></label>
        <div class="actions"><button class="button primary" type="submit">Done</button></div>
      </form>
    </li>
  </ol>
</div>`,
  }
}

/** `made.secret` with this server's real addresses. */
function handOver({ key, secret, account, issuer }: Made): Handover {
  const base = account.slug
  switch (secret.format) {
    case 'json': {
      const name = `${base}.json`
      return {
        what: 'the key file',
        text: `${JSON.stringify(secret.keyFile, null, 2)}\n`,
        file: { name, type: 'application/json' },
        use: `npx countersign token --key-file ${name}`,
      }
    }
    case 'pem': {
      const name = `${base}.pem`
      return {
        what: 'the private key',
        text: secret.privateKeyPem,
        file: { name, type: 'application/x-pem-file' },
        use: `npx countersign token --private-key ${name} \\\n  --key-id ${key.id} --account ${account.id} --issuer ${issuer}`,
      }
    }
    case 'p12': {
      const name = `${base}.p12`
      return {
        what: 'the PKCS#12 file',
        text: secret.p12Base64,
        file: { name, type: 'application/x-pkcs12', isBase64: true },
        use: `openssl pkcs12 -in ${name} -nocerts -nodes -out ${base}.pem\nnpx countersign token --private-key ${base}.pem \\\n  --key-id ${key.id} --account ${account.id} --issuer ${issuer}`,
        password: secret.password,
      }
    }
    case 'api_token':
      return {
        what: 'the API token',
        text: secret.apiToken,
        // curl asks for the token: so it stands in no history.
        use: `curl -sS -u ${account.id} ${issuer}/oauth/token -d grant_type=client_credentials`,
      }
  }
}
