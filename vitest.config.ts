import { defineConfig } from 'vitest/config'

/** Installs or names missing programs, and ends and names whatever a file or a run leaves open. */
const guarded = {
  globalSetup: ['test/support/programs.ts', 'test/support/left-behind.ts'],
  setupFiles: ['test/nothing-left.ts'],
}

/**
 * Limits the cost of a hanging test. The limits assert nothing: a busy machine may need long, and a container may
 * have to be downloaded first.
 */
const patience = {
  expect: { poll: { timeout: 30_000 } },
  testTimeout: 120_000,
  hookTimeout: 180_000,
}

/** Tests of src/redis that need no server; all others in test/redis start one. */
const WITHOUT_SERVER = [
  'test/redis/{breaker,deadlines,failure,reply-errors,waiting-list}.test.ts',
  'test/redis/{cluster,examine,sentinel}/*.test.ts',
]

/**
 * Lanes: `npm test` runs the projects named neither `full-*` nor `soak`, `npm run test:full` adds `full-*`, and
 * `npm run test:soak` runs `soak`. Files that start real servers mostly wait for them, so two run at a time.
 */
export default defineConfig({
  test: {
    // `npm test` takes three, because its tests wait more than they compute; the other lanes have time limits to keep.
    maxWorkers: 2,
    coverage: {
      include: ['src/**'],
      // Thresholds of `--project unit --coverage`; the other projects cover the rest of src.
      thresholds: {
        'src/core/**': { branches: 100, lines: 100 },
        'src/store/memory/**': { branches: 100, lines: 100 },
        'src/session/**': { branches: 100, lines: 100 },
        'src/http/pages/**': { branches: 100, lines: 100 },
        'src/http/{addresses,answers,cookies,request,trusted-proxies,write-page}.ts': {
          branches: 100,
          lines: 100,
        },
        'src/crypto/**': { branches: 100, lines: 100 },
        'src/config/{load,networks}.ts': { branches: 100, lines: 100 },
        'src/config/**': { branches: 97, lines: 100 },
        // The log files are tested by test/contact/c50-log-never-blocks.test.ts.
        'src/telemetry/{check-metrics,metrics,plain-histogram,redis-metrics}.ts': {
          branches: 85,
          lines: 100,
        },
      },
    },
    projects: [
      {
        test: {
          name: 'unit',
          ...patience,
          ...guarded,
          // Unit tests leave nothing behind, and loading all modules per file takes longer than the tests.
          isolate: false,
          setupFiles: [...guarded.setupFiles, 'test/setup.ts'],
          include: [
            'test/{bearer,config,core,crypto,docs,events,http,replicas,routes,session,store,telemetry,timing}/**/*.test.ts',
            ...WITHOUT_SERVER,
          ],
        },
      },
      ...['commands', 'redis', 'oidc', 'threats', 'e2e', 'deploy'].map((room) => ({
        test: {
          name: room,
          ...patience,
          ...guarded,
          // Each file closes what it opens, and loading the service anew takes a second per file.
          isolate: false,
          include: [`test/${room}/**/*.test.ts`],
          exclude: WITHOUT_SERVER,
        },
      })),
      {
        test: {
          name: 'contact',
          ...patience,
          ...guarded,
          // Some files replace the clock of timers, which modules that are already loaded would not see.
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
        // Checks that are asked by the support alone, again over TLS and HTTP/2 (finding C63).
        test: {
          name: 'full-http2',
          ...patience,
          ...guarded,
          isolate: false,
          env: { INTERNAL_PROTOCOL: 'h2' },
          include: ['test/threats/{a07,a26,a35,a36,a75,a77,a78,a80,a81,a88}-*.test.ts'],
        },
      },
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
