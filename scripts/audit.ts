import { spawnSync } from 'node:child_process'
import { judgeAudit } from './audit-verdict.ts'

/**
 * Asks the registry for known vulnerabilities of what is installed in production. Exits 1 for severe ones; where the
 * registry cannot say, the reason is printed instead.
 */
const { stdout, stderr } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' })
const verdict = judgeAudit(stdout, stderr)
process.stdout.write(`${verdict.text}\n`)
process.exitCode = verdict.isSevere ? 1 : 0
