import { writeFileSync } from 'node:fs'
import type { Reporter, TestCase, TestModule } from 'vitest/node'

/**
 * Vitest's reporter for CI: writes what was skipped and why, what failed, and the counts as the last line, into
 * RESULTS_FILE. Failures come after the skipped tests, because a log that is cut keeps its end.
 */
export default function countResults(): Reporter {
  return {
    onTestRunEnd(modules, unhandledErrors) {
      const tests = modules.flatMap((module) => [...module.children.allTests()])
      const inState = (state: string) => tests.filter((test) => test.result().state === state)
      const passed = inState('passed').length
      const skipped = inState('skipped')
      const broken = modules.filter(hasFailedOutsideTests)
      const failed = tests.length - passed - skipped.length + broken.length + unhandledErrors.length
      const lines = [
        ...skipped.map((test) => `skipped: ${nameOf(test)}: ${reasonOf(test)}`),
        ...inState('failed').map((test) => `failed: ${nameOf(test)}: ${errorOf(test)}`),
        ...broken.map((module) => `failed outside its tests: ${module.relativeModuleId}`),
        // Counts a run without any test as one failure.
        `${passed} passed, ${passed + failed === 0 ? 1 : failed} failed, ${skipped.length} skipped`,
      ]
      writeFileSync(process.env['RESULTS_FILE'] ?? '/dev/stdout', `${lines.join('\n')}\n`)
    },
  }
}

/** A file that cannot be loaded, or whose hooks fail, may have no test that failed. */
function hasFailedOutsideTests(module: TestModule): boolean {
  const suites = [...module.children.allSuites()]
  return module.errors().length > 0 || suites.some((suite) => suite.errors().length > 0)
}

function nameOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`
}

function errorOf(test: TestCase): string {
  return test.result().errors?.[0]?.message.split('\n')[0] ?? 'without an error'
}

function reasonOf(test: TestCase): string {
  const result = test.result()
  return (
    (result.state === 'skipped' && result.note) || 'what its suite needs is missing, as said above'
  )
}
