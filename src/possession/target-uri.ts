/** Characters of a URI (RFC 3986 §2): what a URL parser would quietly mend or drop is none. */
const HTTP_URI = /^https?:\/\/(?![/?#])[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/i
const MAX_LENGTH = 2048
const ESCAPE = /%([0-9A-Fa-f]{2})/g
const UNRESERVED = /[A-Za-z0-9\-._~]/

/**
 * The normal form of a URI that a request was sent to, for comparison as RFC 9449 §4.3 wants it: without query
 * and fragment, scheme and host in lower case, no default port, no dot segments, nothing escaped that needs not
 * be (RFC 3986 §6.2.2, §6.2.3). Undefined for what is no `http` or `https` URI of acceptable length.
 */
export function normalizeTarget(uri: string): string | undefined {
  if (uri.length > MAX_LENGTH || !HTTP_URI.test(uri)) return undefined
  const url = URL.parse(uri)
  if (url === null || url.username !== '' || url.password !== '') return undefined
  return url.origin + url.pathname.replace(ESCAPE, unescapeUnreserved)
}

function unescapeUnreserved(sequence: string, digits: string): string {
  const character = String.fromCharCode(Number.parseInt(digits, 16))
  return UNRESERVED.test(character) ? character : sequence.toUpperCase()
}
