import type { Config } from '../../config.ts'
import { codeOf, messageOf } from '../../errors.ts'
import { type Check, failed, ok, warning } from './check.ts'
import { get } from './get.ts'

const NAME = 'metrics'

/** Whether a node of this configuration serves its metrics. */
export async function checkMetrics({
  host,
  metricsPort,
}: Pick<Config, 'host' | 'metricsPort'>): Promise<Check> {
  if (metricsPort === undefined) {
    return warning(
      NAME,
      'off',
      'Set COUNTERSIGN_METRICS_PORT, and let Prometheus read them (deploy/prometheus).',
    )
  }
  const url = `http://${toReachable(host)}:${metricsPort}/metrics`
  try {
    const { status, body } = await get(url)
    if (status === 200 && body.includes('# TYPE countersign_requests_total'))
      return ok(NAME, `served at ${url}`)
    return failed(
      NAME,
      `${url} answers ${status}, and no metrics of Countersign`,
      'See what else has that port.',
    )
  } catch (error) {
    return failed(
      NAME,
      `${url} cannot be reached (${codeOf(error) ?? messageOf(error)})`,
      'Start the server.',
    )
  }
}

/** The address that everybody listens on is nobody's to connect to. */
function toReachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
