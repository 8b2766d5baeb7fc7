/**
 * Makes an RSA pair with Web Crypto, saves the key file on this computer and leaves the public half in the form. The
 * private key is in the file alone: nothing sends it, nothing keeps it.
 */

const place = document.querySelector('[data-generate]')
const button = place?.querySelector('[data-make]')
const said = place?.querySelector('[data-said]')
const field = document.querySelector('textarea[name=public_key]')
if (
  place instanceof HTMLElement &&
  button instanceof HTMLButtonElement &&
  said instanceof HTMLElement &&
  field instanceof HTMLTextAreaElement
) {
  // Web Crypto is there on https and localhost alone.
  if (crypto.subtle === undefined) {
    said.textContent = 'This browser makes keys only on pages over https.'
  } else {
    field.readOnly = true
    button.hidden = false
    button.addEventListener('click', () => make(JSON.parse(place.dataset.generate ?? '{}')))
  }
}

/** @param {Record<string, string>} facts */
async function make(facts) {
  if (!(button instanceof HTMLButtonElement && said instanceof HTMLElement)) return
  button.disabled = true
  said.textContent = 'Your browser is making the pair.'
  const pair = await crypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      modulusLength: 3072,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: 'SHA-256',
    },
    true,
    ['sign', 'verify'],
  )
  const privateKey = toPem('PRIVATE KEY', await crypto.subtle.exportKey('pkcs8', pair.privateKey))
  const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey)
  save(facts.fileName ?? 'key.json', toKeyFile(facts, privateKey, await thumbprintOf(jwk)))
  if (field instanceof HTMLTextAreaElement) {
    field.value = toPem('PUBLIC KEY', await crypto.subtle.exportKey('spki', pair.publicKey))
  }
  said.textContent = `${facts.fileName} is saved. Register the public half now: until then the file opens nothing.`
  button.disabled = false
}

/**
 * The shape that service-account client libraries read. The key is named by its thumbprint (RFC 7638), as the server
 * names one that it is given.
 * @param {Record<string, string>} facts
 * @param {string} privateKey
 * @param {string} thumbprint
 */
function toKeyFile(facts, privateKey, thumbprint) {
  const { projectId, clientEmail, clientId, issuer, organizationId } = facts
  return {
    type: 'service_account',
    project_id: projectId,
    private_key_id: thumbprint,
    private_key: privateKey,
    client_email: clientEmail,
    client_id: clientId,
    auth_uri: `${issuer}/oauth/authorize`,
    token_uri: `${issuer}/oauth/token`,
    audience: issuer,
    issuer,
    organization_id: organizationId,
    created_at: new Date().toISOString(),
    expires_at: null,
  }
}

/** @param {JsonWebKey} jwk */
async function thumbprintOf({ e, kty, n }) {
  const digest = await crypto.subtle.digest(
    'SHA-256',
    new TextEncoder().encode(JSON.stringify({ e, kty, n })),
  )
  return toBase64(digest).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/**
 * @param {string} label
 * @param {ArrayBuffer} der
 */
function toPem(label, der) {
  const lines = toBase64(der).match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** @param {ArrayBuffer} bytes */
function toBase64(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
}

/**
 * @param {string} name
 * @param {object} content
 */
function save(name, content) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(
    new Blob([`${JSON.stringify(content, null, 2)}\n`], { type: 'application/json' }),
  )
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}
