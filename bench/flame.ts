import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Of the format that V8 writes: the tree of calls, and which of its nodes was met at each look. */
type Profile = { nodes: ProfileNode[]; samples: number[]; timeDeltas: number[] }
type ProfileNode = { id: number; callFrame: { functionName: string; url: string }; children?: number[] }

/** A function as called from its caller, with the time in it and in all that it called; in microseconds. */
type Frame = { name: string; origin: Origin; time: number; callees: Map<string, Frame> }
type Origin = 'Countersign' | 'packages' | 'Node.js' | 'V8 and system'

const WIDTH = 1200
const ROW = 17
const TOP = 40
/** What is narrower cannot be read, nor what is higher. */
const MIN_WIDTH = 1.2
const MAX_DEPTH = 48
/** The start of the process, in microseconds: it loads modules, and compiles the contract of the management API. */
const START = 15_000_000
const LETTER_WIDTH = 6.6
const COLOURS: Record<Origin, string> = {
  Countersign: '#f2a65a',
  packages: '#9ecbff',
  'Node.js': '#b9dfae',
  'V8 and system': '#d7d7de',
}
/** Nobody waits for these. */
const IDLE = '(idle)'

/**
 * Draws the CPU profiles of a folder (`node --cpu-prof`) as one flame graph, an SVG beside them: each box is a function, as
 * wide as its share of the time that the process worked, above the one that called it. Without the start of the process.
 * Answers its path.
 */
export async function drawFlames(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile'))
  const root: Frame = { name: 'all', origin: 'V8 and system', time: 0, callees: new Map() }
  for (const name of names) addProfile(root, JSON.parse(await readFile(join(folder, name), 'utf8')))
  const path = join(folder, 'flame.svg')
  await writeFile(path, toSvg(root))
  return path
}

function addProfile(root: Frame, { nodes, samples, timeDeltas }: Profile): void {
  const own = new Map<number, number>()
  let at = 0
  samples.forEach((id, index) => {
    const time = timeDeltas[index] ?? 0
    at += time
    if (at > START) own.set(id, (own.get(id) ?? 0) + time)
  })
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const [top] = nodes
  for (const child of top?.children ?? []) add(root, child)
  root.time = sum(root)

  /** Adds a call and what it called; answers the time of both. */
  function add(caller: Frame, id: number): number {
    const node = byId.get(id)
    if (node === undefined || node.callFrame.functionName === IDLE) return 0
    const name = node.callFrame.functionName || '(anonymous)'
    const key = `${name} ${node.callFrame.url}`
    const frame = caller.callees.get(key) ?? { name, origin: originOf(node), time: 0, callees: new Map() }
    caller.callees.set(key, frame)
    let time = own.get(id) ?? 0
    for (const child of node.children ?? []) time += add(frame, child)
    frame.time += time
    return time
  }
}

function sum({ callees }: Frame): number {
  return callees.values().reduce((total, { time }) => total + time, 0)
}

function originOf({ callFrame: { url } }: ProfileNode): Origin {
  if (url === '') return 'V8 and system'
  if (url.startsWith('node:')) return 'Node.js'
  return url.includes('/node_modules/') ? 'packages' : 'Countersign'
}

function toSvg(root: Frame): string {
  const height = TOP + depthOf(root) * ROW + 10
  const boxes: string[] = []
  draw(root, 0, 0)
  const legend = Object.entries(COLOURS).map(
    ([origin, colour], index) =>
      `<rect x="${10 + index * 150}" y="10" width="14" height="14" fill="${colour}"/><text x="${30 + index * 150}" y="22">${origin}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="ui-monospace, monospace" font-size="11">
<title>Flame graph of the server's CPU</title>
<rect width="100%" height="100%" fill="#fff"/>
${legend.join('\n')}
${boxes.join('\n')}
</svg>
`

  function draw(frame: Frame, depth: number, left: number): void {
    const width = (frame.time / root.time) * WIDTH
    if (width < MIN_WIDTH || depth > MAX_DEPTH) return
    const y = height - 10 - (depth + 1) * ROW
    const share = `${((frame.time / root.time) * 100).toFixed(1)} %`
    const letters = Math.floor((width - 4) / LETTER_WIDTH)
    const label = letters < 3 ? '' : frame.name.slice(0, letters)
    boxes.push(
      `<g><title>${escapeXml(frame.name)}, ${share}</title><rect x="${left.toFixed(1)}" y="${y}" width="${Math.max(width - 0.4, 0.8).toFixed(1)}" height="${ROW - 1}" fill="${COLOURS[frame.origin]}"/>` +
        `${label === '' ? '' : `<text x="${(left + 2).toFixed(1)}" y="${y + 12}">${escapeXml(label)}</text>`}</g>`,
    )
    for (const callee of [...frame.callees.values()].sort((one, other) => other.time - one.time)) {
      draw(callee, depth + 1, left)
      left += (callee.time / root.time) * WIDTH
    }
  }

  function depthOf(frame: Frame): number {
    if ((frame.time / root.time) * WIDTH < MIN_WIDTH) return 0
    return Math.min(MAX_DEPTH, 1 + Math.max(0, ...frame.callees.values().map(depthOf)))
  }
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
