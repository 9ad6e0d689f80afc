import { defineConfig } from 'vitest/config'

/** Threat, fault and end-to-end files start real servers, so they share the machine less greedily. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'test/{core,store,session,oidc,routes,telemetry}/**/*.test.ts',
            'test/*.test.ts',
          ],
        },
      },
      { test: { name: 'threats', include: ['test/threats/**/*.test.ts'], testTimeout: 20_000 } },
      { test: { name: 'faults', include: ['test/faults/**/*.test.ts'], testTimeout: 30_000 } },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
