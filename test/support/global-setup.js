import { startCluster } from './cluster.ts'
import { createTemplateDatabase } from './database.ts'

/**
 * Before the first test file of a Jest run. JavaScript, so that Jest leaves it and all that it imports to
 * Node.js: what Jest transforms here becomes CommonJS, which cannot import migrations by their URL.
 */
export default async function setUp() {
  globalThis.stopTestCluster = await startCluster()
  await createTemplateDatabase()
}
