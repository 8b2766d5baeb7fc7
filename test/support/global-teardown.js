/** After the last test file of a Jest run; `global-setup.js` left the function. */
export default async function tearDown() {
  await globalThis.stopTestCluster?.()
}
