import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { TLSSocket } from 'node:tls'

/** An answer, and until when the certificate holds that it came with, in milliseconds; undefined without TLS. */
export type Answer = { status: number; body: string; certificateUntil: number | undefined }

const PATIENCE_MILLISECONDS = 10_000
const LONGEST_ANSWER = 1_000_000

/**
 * Gets a URL on a connection of its own. Not by fetch, which does not say what certificate it saw. Follows no
 * redirection, as clients should not either. Rejects with what Node.js says.
 */
export function get(url: string): Promise<Answer> {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const asked = request(url, { signal: AbortSignal.timeout(PATIENCE_MILLISECONDS), agent: false })
    asked.on('error', reject)
    asked.on('response', (response) => {
      const { socket } = response
      const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined
      let body = ''
      response.setEncoding('utf8')
      response.on('error', reject)
      response.on('data', (chunk) => {
        body += chunk
        if (body.length > LONGEST_ANSWER) asked.destroy(new Error('the answer is too long'))
      })
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body,
          certificateUntil: certificate && Date.parse(certificate.valid_to),
        }),
      )
    })
    asked.end()
  })
}
