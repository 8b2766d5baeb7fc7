import { describe, expect, test } from '@jest/globals'
import { judgeAudit } from '../../scripts/audit-verdict.ts'

const clean = {
  metadata: { vulnerabilities: { info: 0, low: 0, moderate: 0, high: 0, critical: 0, total: 0 } },
}

describe('what the registry says of known vulnerabilities', () => {
  test('nothing known is fine', () => {
    expect(judgeAudit(JSON.stringify({ vulnerabilities: {}, ...clean }), '')).toEqual({
      isSevere: false,
      text: 'npm audit, packages of production: no known vulnerability',
    })
  })

  test('a severe one fails, and is named', () => {
    const report = {
      vulnerabilities: {
        qs: {
          severity: 'high',
          range: '<6.2.4',
          via: [{ title: 'Denial of service', url: 'https://a.example' }],
        },
        ms: { severity: 'low', range: '<2', via: ['qs'] },
      },
      metadata: { vulnerabilities: { ...clean.metadata.vulnerabilities, high: 1, low: 1, total: 2 } },
    }
    expect(judgeAudit(JSON.stringify(report), '')).toEqual({
      isSevere: true,
      text: 'npm audit, packages of production: 1 low, 1 high\n  qs <6.2.4: high, Denial of service https://a.example',
    })
  })

  test('lesser ones are told, and fail nothing', () => {
    const report = {
      vulnerabilities: { ms: { severity: 'moderate', range: '<2', via: ['x'] } },
      metadata: { vulnerabilities: { ...clean.metadata.vulnerabilities, moderate: 1, total: 1 } },
    }
    expect(judgeAudit(JSON.stringify(report), '')).toEqual({
      isSevere: false,
      text: 'npm audit, packages of production: 1 moderate',
    })
  })

  test.each([
    [
      'a registry without that endpoint',
      '{"message": "405 Method Not Allowed - POST https://r.example/x"}',
      '',
      '405 Method',
    ],
    ['no registry at all', '', 'npm error audit endpoint returned an error\n', 'endpoint returned an error'],
  ])('%s is told as skipped, with the reason', (_what, stdout, stderr, reason) => {
    const { isSevere, text } = judgeAudit(stdout, stderr)
    expect(isSevere).toBe(false)
    expect(text).toMatch(/^npm audit was skipped: /)
    expect(text).toContain(reason)
  })
})
