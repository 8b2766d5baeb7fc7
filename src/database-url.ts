/**
 * The servers that `DATABASE_URL` names, one of which takes writes at any time: a primary and its standbys, as in
 * libpq (`postgresql://user@a:5432,b:5432/name?target_session_attrs=read-write`; PostgreSQL manual §34.1.1.3).
 */
export type DatabaseHosts = {
  /** One URL for each server, in the order of their trial. */
  urls: readonly string[]
  /** Whether a connection must be able to write to be one: when several are named, or when the URL says so. */
  mustWrite: boolean
}

const SHAPE = /^(postgres(?:ql)?:\/\/)(?:([^@/?#]*)@)?([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/
/** Of libpq's kinds those that a server can work with that writes a record for each token. */
const WRITING = new Set(['read-write', 'primary'])

/** Reads `DATABASE_URL`. Throws TypeError with what is wrong about it; nothing of the URL is repeated. */
export function parseDatabaseUrl(text: string): DatabaseHosts {
  const [, scheme = '', user, authority = '', path = '', query = ''] =
    SHAPE.exec(text) ?? refuse('be a postgresql:// URL')
  const parameters = new URLSearchParams(query)
  const attributes = takeOut(parameters, 'target_session_attrs')
  if (attributes !== undefined && attributes !== 'any' && !WRITING.has(attributes)) {
    refuse('have target_session_attrs=read-write, primary or any: this server writes')
  }
  const hosts = authority === '' ? hostsOfParameters(parameters) : authority.split(',')
  if (hosts !== undefined && hosts.length > 1 && hosts.includes('')) refuse('name hosts that can be read')
  const urls = (hosts ?? ['']).map((host) => {
    const [place, ...ofHost] = host.split('?')
    const rest = [parameters.toString(), ...ofHost].filter((part) => part !== '').join('&')
    return `${scheme}${user === undefined ? '' : `${user}@`}${place}${path}${rest === '' ? '' : `?${rest}`}`
  })
  if (!urls.every((url) => URL.canParse(url))) refuse('name hosts that can be read')
  return { urls, mustWrite: urls.length > 1 || WRITING.has(attributes ?? '') }
}

/** Sockets' folders stand in `host`, separated by commas, and `port` has one for all or one for each. */
function hostsOfParameters(parameters: URLSearchParams): string[] | undefined {
  const hosts = takeOut(parameters, 'host')?.split(',')
  if (hosts === undefined) return undefined
  const ports = takeOut(parameters, 'port')?.split(',') ?? []
  if (ports.length > 1 && ports.length !== hosts.length) refuse('have one port, or one for each host')
  return hosts.map((host, position) => {
    const port = ports[ports.length > 1 ? position : 0]
    return `?${new URLSearchParams({ host, ...(port === undefined ? {} : { port }) })}`
  })
}

function takeOut(parameters: URLSearchParams, name: string): string | undefined {
  const value = parameters.get(name) ?? undefined
  parameters.delete(name)
  return value
}

function refuse(what: string): never {
  throw new TypeError(`must ${what}`)
}
