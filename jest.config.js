export default {
  testEnvironment: 'node',
  globalSetup: '<rootDir>/test/support/global-setup.js',
  globalTeardown: '<rootDir>/test/support/global-teardown.js',
  reporters: ['default', '<rootDir>/test/conformance/reporter.ts'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // For hooks too: a server of one's own takes long where every core is busy with other test files.
  testTimeout: 120_000,
  // Jest leaves one core idle otherwise, which is half of a small machine.
  maxWorkers: '100%',
  // Node.js keeps the modules of every test file that a worker has run: it is replaced before that slows it down.
  workerIdleMemoryLimit: '1200MB',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
}
