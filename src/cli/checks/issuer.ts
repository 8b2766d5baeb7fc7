import { isLoopbackHost } from '../../config.ts'
import { codeOf, messageOf } from '../../errors.ts'
import { type Check, failed, ok, warning } from './check.ts'
import { type Answer, get } from './get.ts'

/** A certificate that is replaced by hand takes somebody a fortnight; one that is renewed by itself has long been. */
const CERTIFICATE_WARNING_DAYS = 14
const DAY_MILLISECONDS = 86_400_000

/**
 * Whether clients reach this installation at its issuer: TLS and its certificate as they would judge it, metadata
 * (RFC 8414 §3) that name this very issuer, and the signing keys of this database. `now` in milliseconds.
 */
export async function checkIssuer(
  issuer: string,
  { activeKids, now }: { activeKids: readonly string[]; now: number },
): Promise<Check[]> {
  const url = new URL(issuer)
  const path = url.pathname.replace(/\/$/, '')
  const metadataUrl = `${url.origin}/.well-known/oauth-authorization-server${path}`
  try {
    const metadata = await get(metadataUrl)
    return [
      judgeTransport(url, metadata.certificateUntil, now),
      judgeMetadata(metadataUrl, issuer, metadata),
      judgePublishedKeys(await get(`${issuer}/.well-known/jwks.json`), activeKids),
    ]
  } catch (error) {
    return [judgeUnreachable(issuer, error)]
  }
}

function judgeTransport(url: URL, certificateUntil: number | undefined, now: number): Check {
  const name = 'issuer TLS'
  if (url.protocol === 'http:') {
    return isLoopbackHost(url.hostname)
      ? ok(name, 'none: the issuer is on this machine')
      : failed(
          name,
          'none',
          'Put TLS in front and make COUNTERSIGN_ISSUER https: tokens travel in the clear.',
        )
  }
  const days = Math.floor(((certificateUntil ?? now) - now) / DAY_MILLISECONDS)
  const found = `the certificate is valid, for ${days} more days`
  return days < CERTIFICATE_WARNING_DAYS
    ? warning(name, found, 'Renew it; see why that has not happened by itself.')
    : ok(name, found)
}

function judgeMetadata(url: string, issuer: string, { status, body }: Answer): Check {
  const name = 'issuer metadata'
  const said = status === 200 ? readMember(body, 'issuer') : undefined
  if (said === issuer) return ok(name, `${url} names this issuer`)
  return failed(
    name,
    said === undefined
      ? `${url} answers ${status}, and no metadata`
      : `${url} names the issuer ${JSON.stringify(said)}, not ${issuer}`,
    'Let the proxy pass on everything below the issuer, and give all nodes the same COUNTERSIGN_ISSUER.',
  )
}

/** Another installation behind the same name would answer with other keys. */
function judgePublishedKeys({ status, body }: Answer, activeKids: readonly string[]): Check {
  const name = 'issuer keys'
  const keys = status === 200 ? readMember(body, 'keys') : undefined
  const kids = Array.isArray(keys) ? keys.map((key: { kid?: unknown } | null) => key?.kid) : []
  const missing = activeKids.filter((kid) => !kids.includes(kid))
  if (missing.length === 0) return ok(name, `${kids.length} published, those that sign among them`)
  return failed(
    name,
    `jwks.json lacks ${missing.join(', ')}, which sign${missing.length === 1 ? 's' : ''} in this database`,
    'The issuer leads to another installation, or something in between keeps an old answer.',
  )
}

/** Codes of Node's TLS when a certificate is not to be trusted, whatever is wrong with it. */
const CERTIFICATE_CODES = /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO$|ERR_SSL)/

function judgeUnreachable(issuer: string, error: unknown): Check {
  const code = codeOf(error) ?? ''
  if (CERTIFICATE_CODES.test(code)) {
    return failed(
      'issuer TLS',
      `the certificate does not hold (${code}: ${messageOf(error)})`,
      'Serve the whole chain for that name. A private authority has to be named: NODE_EXTRA_CA_CERTS=FILE.',
    )
  }
  return failed(
    'issuer',
    `${issuer} cannot be reached from here (${code === '' ? messageOf(error) : code})`,
    'Start the server, and look at name, proxy and firewall.',
  )
}

function readMember(text: string, name: string): unknown {
  try {
    return (JSON.parse(text) as Record<string, unknown> | null)?.[name]
  } catch {
    return undefined
  }
}
