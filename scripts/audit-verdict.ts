/** What `npm audit --json` reports, as far as it is judged. */
type Report = {
  error?: unknown
  message?: string
  metadata?: { vulnerabilities?: Record<string, number> }
  vulnerabilities?: Record<
    string,
    { severity: string; range: string; via: (string | { title?: string; url?: string })[] }
  >
}

const SEVERE = ['high', 'critical']

/** What the output of `npm audit --json` means: whether somebody must act, and what to print. Pure. */
export function judgeAudit(stdout: string, stderr: string): { isSevere: boolean; text: string } {
  const report = parse(stdout)
  const counts = report?.metadata?.vulnerabilities
  if (report === undefined || report.error !== undefined || counts === undefined) {
    const reason = report?.message ?? /npm (?:warn|error) (?:audit )?(.*)/.exec(stderr)?.[1] ?? 'no answer'
    return {
      isSevere: false,
      text: `npm audit was skipped: the registry does not tell vulnerabilities (${reason})`,
    }
  }
  const severe = Object.entries(report.vulnerabilities ?? {}).filter(([, { severity }]) =>
    SEVERE.includes(severity),
  )
  const lines = severe.map(
    ([name, { severity, range, via }]) => `  ${name} ${range}: ${severity}, ${describe(via)}`,
  )
  const summary = Object.entries(counts)
    .filter(([severity, count]) => severity !== 'total' && count > 0)
    .map(([severity, count]) => `${count} ${severity}`)
  const text = `npm audit, packages of production: ${summary.length === 0 ? 'no known vulnerability' : summary.join(', ')}`
  return { isSevere: severe.length > 0, text: [text, ...lines].join('\n') }
}

function describe(via: readonly (string | { title?: string; url?: string })[]): string {
  return via
    .map((cause) => (typeof cause === 'string' ? `by ${cause}` : `${cause.title} ${cause.url}`))
    .join('; ')
}

function parse(text: string): Report | undefined {
  try {
    return JSON.parse(text) as Report
  } catch {
    return undefined
  }
}
