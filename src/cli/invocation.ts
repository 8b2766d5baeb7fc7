/** Whether this runs from the sources, through npm, which finds the pinned Node.js. */
const isFromSources = import.meta.url.endsWith('.ts')

/** How the command is called here. */
export const COMMAND = isFromSources ? 'npm run -s countersign --' : 'npx countersign'
/** How the demo is called here. */
export const DEMO_COMMAND = isFromSources ? 'npm run demo' : 'npx countersign demo'
