import { defineConfig } from 'vitest/config'

/** How long `expect.poll` waits where nothing else is said: a second is little where processes share a machine. */
const patience = { expect: { poll: { timeout: 5000 } } }

/**
 * The lanes: `npm test` runs the projects named neither `full-*` nor `soak`, `npm run test:full` adds `full-*`,
 * `npm run test:soak` runs `soak`. Files that start real servers mostly wait for them: two at a time, on any machine.
 */
export default defineConfig({
  test: {
    maxWorkers: 2,
    coverage: {
      include: ['src/**'],
      // What `--project unit --coverage` must reach; the other projects are for the rest of src.
      thresholds: {
        'src/core/**': { branches: 100, lines: 100 },
        'src/store/{expiring-map,memory,memory-*,one-time-keys,store}.ts': {
          branches: 100,
          lines: 100,
        },
        'src/session/**': { branches: 100, lines: 100 },
        'src/routes/pages/**': { branches: 100, lines: 100 },
        'src/routes/{addresses,answers,cookies,node-env,trusted-peers}.ts': {
          branches: 100,
          lines: 100,
        },
        'src/{config,networks,seal}.ts': { branches: 100, lines: 100 },
        'src/config/**': { branches: 97, lines: 100 },
        'src/telemetry/**': { branches: 85, lines: 100 },
      },
    },
    projects: [
      {
        test: {
          name: 'unit',
          // No unit test leaves anything behind, and loading everything anew per file takes longer than the tests.
          isolate: false,
          setupFiles: ['test/setup.ts'],
          include: [
            'test/{config,core,store,session,routes,telemetry}/**/*.test.ts',
            'test/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'redis',
          ...patience,
          include: ['test/redis/**/*.test.ts'],
          globalSetup: ['test/support/programs.ts'],
          testTimeout: 30_000,
          // A container may have to be fetched first.
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'oidc',
          ...patience,
          include: ['test/oidc/**/*.test.ts'],
          globalSetup: ['test/support/programs.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'threats',
          ...patience,
          include: ['test/threats/**/*.test.ts'],
          globalSetup: ['test/support/programs.ts'],
          testTimeout: 20_000,
        },
      },
      { test: { name: 'deploy', include: ['test/deploy/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'contact',
          ...patience,
          include: ['test/contact/**/*.test.ts'],
          globalSetup: ['test/support/programs.ts'],
          testTimeout: 20_000,
        },
      },
      ...['redis', 'faults', 'e2e', 'contact', 'chaos'].map((room) => ({
        test: {
          name: `full-${room}`,
          ...patience,
          include: [`test/full/${room}/**/*.test.ts`],
          globalSetup: ['test/support/programs.ts'],
          // A failover alone may take ten seconds on a busy machine.
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      })),
      {
        test: {
          name: 'soak',
          ...patience,
          include: ['test/soak/**/*.test.ts'],
          globalSetup: ['test/support/programs.ts'],
          testTimeout: 2 * 60 * 60 * 1000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
