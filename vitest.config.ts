import { defineConfig } from 'vitest/config'

/** Programs are there or named, and what a file or a run leaves open is ended and named. */
const guarded = {
  globalSetup: ['test/support/programs.ts', 'test/support/left-behind.ts'],
  setupFiles: ['test/nothing-left.ts'],
}

/**
 * Limits what a hanging test costs. They assert nothing: a machine that does other things meanwhile may need long, and
 * a container may have to be fetched first.
 */
const patience = {
  expect: { poll: { timeout: 30_000 } },
  testTimeout: 120_000,
  hookTimeout: 180_000,
}

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
          ...patience,
          ...guarded,
          // No unit test leaves anything behind, and loading everything anew per file takes longer than the tests.
          isolate: false,
          setupFiles: [...guarded.setupFiles, 'test/setup.ts'],
          include: [
            'test/{bearer,commands,config,core,crypto,docs,routes,session,store,telemetry}/**/*.test.ts',
          ],
        },
      },
      ...['redis', 'oidc', 'threats', 'e2e', 'deploy'].map((room) => ({
        test: {
          name: room,
          ...patience,
          ...guarded,
          // Each file closes what it opens, and the service loads in a second that two hundred files need not wait for.
          isolate: false,
          include: [`test/${room}/**/*.test.ts`],
        },
      })),
      {
        test: {
          name: 'contact',
          ...patience,
          ...guarded,
          // Some put Node's timers on a clock of their own, which modules that are loaded already would not see.
          isolate: true,
          include: ['test/contact/**/*.test.ts'],
        },
      },
      ...['redis', 'faults', 'e2e', 'contact', 'chaos', 'costs'].map((room) => ({
        test: {
          name: `full-${room}`,
          ...patience,
          ...guarded,
          include: [`test/full/${room}/**/*.test.ts`],
        },
      })),
      {
        test: {
          name: 'soak',
          ...patience,
          ...guarded,
          include: ['test/soak/**/*.test.ts'],
          testTimeout: 2 * 60 * 60 * 1000,
        },
      },
    ],
  },
})
