import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createWorkerMetrics } from '../../src/observability/worker-metrics.ts'
import { findFreePort, makeFolder, type ServerProcess, startProcess, urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { parseYaml } from '../support/yaml.ts'
import { findProgram } from './programs.ts'

type Rule = {
  alert: string
  expr: string
  labels: Record<string, string>
  annotations: Record<string, string>
}

const ALERTS = 'deploy/prometheus/alerts.yaml'
const rules: Rule[] = parseYaml(readFileSync(ALERTS, 'utf8')).groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
)
const dashboard = JSON.parse(readFileSync('deploy/grafana/countersign.json', 'utf8'))
const expressions: { where: string; expr: string }[] = [
  ...rules.map(({ alert, expr }) => ({ where: alert, expr })),
  ...dashboard.panels.flatMap((panel: { title: string; targets: { expr: string }[] }) =>
    panel.targets.map(({ expr }) => ({ where: panel.title, expr })),
  ),
]
/** Made by Prometheus itself. */
const BY_PROMETHEUS = ['up']

let folder: string
let database: TestDatabase
let server: ServerProcess
let served: string
beforeAll(async () => {
  folder = await makeFolder()
  database = await createTestDatabase()
  const metricsPort = await findFreePort()
  const env = { DATABASE_URL: urlOf(database), COUNTERSIGN_METRICS_PORT: String(metricsPort) }
  server = await startProcess({ cwd: folder, env })
  await fetch(`${server.issuer}/.well-known/jwks.json`)
  const ofOneProcess = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  served = ofOneProcess + (await createWorkerMetrics().sum([]))
})
afterAll(async () => {
  await server.end('SIGTERM')
  await database.drop()
  await rm(folder, { recursive: true })
})

describe('whatever dashboard and alerts ask for is served', () => {
  test('there is much of it', () => expect(expressions.length).toBeGreaterThan(25))

  test.each(expressions)('$where', ({ expr }) => {
    const known = [...served.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    )
    const named = [...expr.matchAll(/\b((?:countersign|nodejs|process)_\w+|up)\b(?=[{[)\s>]|$)/g)].map(
      (match) => match[1],
    )
    expect(named.length).toBeGreaterThan(0)
    expect(named.filter((name) => ![...known, ...BY_PROMETHEUS].includes(name ?? ''))).toEqual([])
  })
})

test('reasons, endpoints and states that are asked for are told by the server', () => {
  const values = (label: string) =>
    expressions.flatMap(({ expr }) =>
      [...expr.matchAll(new RegExp(`\\b${label}=~?"([^"$]+)"`, 'g'))].flatMap((match) =>
        (match[1] ?? '').split('|'),
      ),
    )
  const errors = readFileSync('src/errors.ts', 'utf8')
  const metrics = readFileSync('src/observability/metrics.ts', 'utf8')
  expect(values('reason').filter((reason) => !errors.includes(`| '${reason}'`))).toEqual([])
  expect(values('endpoint').filter((name) => !metrics.includes(`| '${name}'`))).toEqual([])
  expect(values('state').filter((state) => !metrics.includes(`state: '${state}'`))).toEqual([])
  expect([...values('reason'), ...values('endpoint'), ...values('state')].length).toBeGreaterThan(8)
})

test('every alert says how bad it is, what has happened, and which part of the documentation goes on', () => {
  for (const { alert, labels, annotations } of rules) {
    expect({ alert, severity: labels.severity }).toEqual({
      alert,
      severity: expect.stringMatching(/^(critical|warning)$/),
    })
    expect(annotations.summary).toMatch(/^.{20,}\.$/)
    const [page = '', anchor] = (annotations.runbook ?? '').split('#')
    const anchors = [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    )
    expect({ alert, anchor: anchors.includes(anchor ?? '') }).toEqual({ alert, anchor: true })
  }
})

test('no panel of the dashboard lies over another', () => {
  const taken = new Set<string>()
  for (const { title, gridPos } of dashboard.panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect({ title, isFree: !taken.has(`${x} ${y}`) && x < 24 }).toEqual({ title, isFree: true })
        taken.add(`${x} ${y}`)
      }
    }
  }
})

const promtool = findProgram('promtool')
const withPromtool = promtool === undefined ? test.skip : test
withPromtool('Prometheus itself takes the alerts, and they fire when they should', () => {
  const run = (...args: string[]) =>
    execFileSync(promtool ?? '', args, { cwd: 'deploy/prometheus', encoding: 'utf8', stdio: 'pipe' })
  expect(run('check', 'rules', 'alerts.yaml')).toContain(`SUCCESS: ${rules.length} rules found`)
  run('test', 'rules', 'alerts.test.yaml')
})
