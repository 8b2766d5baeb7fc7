/** `package-lock.json`, as far as a bill of materials needs it. */
export type Lock = { name: string; version: string; packages: Record<string, LockedPackage> }
type LockedPackage = {
  name?: string
  version?: string
  license?: string
  integrity?: string
  dev?: boolean
  devOptional?: boolean
  optional?: boolean
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
}

/** Of the packages for development, this one's bundle is part of what is published (scripts/build.ts). */
export const BUNDLED = 'node_modules/openapi-explorer'

/** Whose package.json states the licence in a form that npm does not take over. */
const LICENCES: Readonly<Record<string, string>> = { busboy: 'MIT', streamsearch: 'MIT' }

/** A package that a production installation has, or whose code is in what is published. */
export type Shipped = { path: string; name: string; version: string; licence: string | undefined }

/** Every package of a production installation, and what is bundled with the console's reference page. */
export function listShipped({ packages }: Lock): Shipped[] {
  return Object.entries(packages)
    .filter(([path, entry]) => path !== '' && ((!entry.dev && !entry.devOptional) || path === BUNDLED))
    .map(([path, entry]) => {
      const name = nameOf(path)
      return { path, name, version: entry.version ?? '', licence: entry.license ?? LICENCES[name] }
    })
}

/** The bill of materials, CycloneDX 1.6: the same for the same lock file. */
export function createBom(lock: Lock) {
  const shipped = listShipped(lock)
  const paths = new Set(shipped.map(({ path }) => path))
  const refOf = (path: string) => {
    const { version } = lock.packages[path] ?? {}
    return path === '' ? `${lock.name}@${lock.version}` : `${path}@${version}`
  }
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        'bom-ref': refOf(''),
        type: 'application',
        name: lock.name,
        version: lock.version,
        purl: `pkg:npm/${lock.name}@${lock.version}`,
        licenses: [{ license: { id: 'Apache-2.0' } }],
      },
    },
    components: shipped.map(({ path, name, version, licence }) => ({
      'bom-ref': refOf(path),
      type: 'library',
      name,
      version,
      scope: lock.packages[path]?.optional === true ? 'optional' : 'required',
      purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
      ...(licence !== undefined && { licenses: toLicences(licence) }),
      ...toHashes(lock.packages[path]?.integrity),
    })),
    dependencies: ['', ...paths].map((path) => ({
      ref: refOf(path),
      dependsOn: dependenciesOf(lock, path)
        .filter((target) => paths.has(target))
        .map(refOf)
        .sort(),
    })),
  }
}

/** Where Node.js finds what a package asks for: beside it, or in a folder above. */
function dependenciesOf({ packages }: Lock, path: string): string[] {
  const { dependencies, optionalDependencies, peerDependencies } = packages[path] ?? {}
  const names = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })
  if (path === '') names.push(nameOf(BUNDLED))
  return names.flatMap((name) => {
    const found = foldersAbove(path).find((folder) => `${folder}node_modules/${name}` in packages)
    return found === undefined ? [] : `${found}node_modules/${name}`
  })
}

/** The folders that have a `node_modules` of their own, from the package itself up to the root. */
function foldersAbove(path: string): string[] {
  const parts = path.split(/(?=node_modules\/)/)
  return parts
    .map((_part, index) => parts.slice(0, parts.length - index).join(''))
    .flatMap(toFolder)
    .concat('')
}

function toFolder(path: string): string[] {
  return path === '' ? [] : [path.endsWith('/') ? path : `${path}/`]
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
}

/** An identifier of SPDX, or an expression of several. */
function toLicences(licence: string) {
  return /[ ()]/.test(licence) ? [{ expression: licence }] : [{ license: { id: licence } }]
}

/** Subresource integrity is base64, CycloneDX wants hexadecimal digits. */
function toHashes(integrity: string | undefined) {
  const digest = integrity?.match(/^sha512-(\S+)$/)?.[1]
  if (digest === undefined) return {}
  return { hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }] }
}
