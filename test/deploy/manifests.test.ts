import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { SETTINGS } from '../../src/config.ts'
import { parseYaml } from '../support/yaml.ts'
import { findProgram } from './programs.ts'

const read = (file: string) => parseYaml(readFileSync(file, 'utf8'))
const deployment = read('deploy/kubernetes/deployment.yaml')
const pod = deployment.spec.template.spec
const [container] = pod.containers
const settings = read('deploy/kubernetes/settings.yaml').data
const compose = read('compose.yaml')
const unit = readFileSync('deploy/systemd/countersign.service', 'utf8')
const image = readFileSync('Dockerfile', 'utf8')

describe('whatever is set, by whichever file, is a setting', () => {
  test.each(['Dockerfile', 'compose.yaml', ...globSync('deploy/**/*.{yaml,service,sh}')])('%s', (file) => {
    const named = [...readFileSync(file, 'utf8').matchAll(/\bCOUNTERSIGN_[A-Z_]+\b/g)].map(([name]) => name)
    expect(named.filter((name) => !(name in SETTINGS))).toEqual([])
  })
})

describe('Kubernetes', () => {
  test('the kustomization names every file', () => {
    const files = globSync('deploy/kubernetes/*.yaml').map((file) => basename(file))
    expect(read('deploy/kubernetes/kustomization.yaml').resources.toSorted()).toEqual(
      files.filter((file) => file !== 'kustomization.yaml').sort(),
    )
  })

  test('no container can become anybody, write anything, or keep a capability', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(pod.automountServiceAccountToken).toBe(false)
    for (const { securityContext } of [...pod.containers, ...pod.initContainers]) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
    }
  })

  test('a pod gets requests while it is ready, and is killed only when the process hangs', () => {
    expect(container.readinessProbe.httpGet).toEqual({ path: '/health/ready', port: 'http' })
    expect(container.livenessProbe.httpGet).toEqual({ path: '/health/live', port: 'http' })
    expect(image).toContain(`COUNTERSIGN_PORT=${container.ports[0].containerPort}`)
    expect(settings.COUNTERSIGN_METRICS_PORT).toBe(String(container.ports[1].containerPort))
  })

  test('there is time to answer what is under way: for the pause, for ten seconds of requests, and some', () => {
    const [, pause] = container.lifecycle.preStop.exec.command
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(Number(pause) + 10 + 10)
  })

  test('no secret stands in a file', () => {
    expect(Object.keys(settings).filter((name) => /KEY|DATABASE_URL|PASSWORD/.test(name))).toEqual([])
    expect(
      globSync('deploy/kubernetes/*.yaml')
        .map(read)
        .filter(({ kind }) => kind === 'Secret'),
    ).toEqual([])
  })

  const kubectl = findProgram('kubectl')
  const withKubectl = kubectl === undefined ? test.skip : test
  withKubectl('kustomize builds it, everything in one namespace and under one label', () => {
    const built = execFileSync(kubectl ?? '', ['kustomize', 'deploy/kubernetes'], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
    const objects = built.split('\n---\n').map((text) => parseYaml(text))
    expect(objects.map(({ kind }) => kind).sort()).toEqual([
      'ConfigMap',
      'Deployment',
      'HorizontalPodAutoscaler',
      'Namespace',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'Service',
      'ServiceAccount',
    ])
    for (const { kind, metadata } of objects) {
      expect(metadata.labels).toMatchObject({ 'app.kubernetes.io/name': 'countersign' })
      if (kind !== 'Namespace') expect(metadata.namespace).toBe('countersign')
    }
  })
})

describe('compose', () => {
  test('the server can write nothing, become nobody, and its database is not to be reached from outside', () => {
    const { countersign, database } = compose.services
    expect(countersign).toMatchObject({ read_only: true, cap_drop: ['ALL'], ulimits: { core: 0 } })
    expect(countersign.security_opt).toContain('no-new-privileges:true')
    expect(database.ports).toBeUndefined()
    expect(database.networks).toEqual(['internal'])
    expect(compose.networks.internal).toEqual({ internal: true })
  })

  test('no secret has a default', () => {
    const text = readFileSync('compose.yaml', 'utf8')
    for (const name of ['POSTGRES_PASSWORD', 'DATABASE_PASSWORD', 'COUNTERSIGN_KEY_ENCRYPTION_KEY']) {
      expect(text).toContain(`\${${name}:?`)
      expect(text).not.toContain(`\${${name}:-`)
    }
  })
})

test('image and unit write no memory to a file, and open no debugger', () => {
  expect(unit).toMatch(/^LimitCORE=0$/m)
  expect(unit).toMatch(/^ExecStart=.* --disable-sigusr1 /m)
  expect(image).toContain('ulimit -c 0 && exec node --disable-sigusr1')
})

test('the unit lets threads lower their priority, which a filter would refuse unseen', () => {
  const filters = [...unit.matchAll(/^SystemCallFilter=(.*)$/gm)].map(([, filter]) => filter)
  expect(filters.indexOf('setpriority')).toBeGreaterThan(
    filters.findIndex((filter) => filter?.includes('@resources')),
  )
})

const analyze = findProgram('systemd-analyze')
const withSystemd = analyze === undefined ? test.skip : test
withSystemd('systemd takes the unit, and finds little that it could do', () => {
  const run = (...args: string[]) => execFileSync(analyze ?? '', args, { encoding: 'utf8', stdio: 'pipe' })
  const file = 'deploy/systemd/countersign.service'
  const exposure = /exposure level for \S+: ([\d.]+)/.exec(
    run('security', '--offline=true', '--no-pager', file),
  )?.[1]
  expect(Number(exposure)).toBeLessThan(2)
})
