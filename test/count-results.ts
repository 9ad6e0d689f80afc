import { readFileSync } from 'node:fs'

/** What is read of vitest's JSON report. */
interface Report {
  readonly numTotalTests: number
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numFailedTestSuites: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
  }[]
}

const path = process.argv[2] ?? ''
const report = JSON.parse(readFileSync(path, 'utf8')) as Report
const skipped = report.testResults.flatMap((file) =>
  file.assertionResults.filter(({ status }) => status === 'skipped' || status === 'pending'),
)
for (const { fullName } of skipped) process.stdout.write(`skipped: ${fullName}\n`)
// A file that cannot be loaded has no tests to fail.
const broken = report.testResults.filter(
  (file) =>
    file.status === 'failed' && file.assertionResults.every(({ status }) => status !== 'failed'),
)
for (const { name } of broken) process.stdout.write(`failed: ${name}\n`)
const failed = report.numFailedTests + broken.length + (report.numPassedTests === 0 ? 1 : 0)
process.stdout.write(
  `${report.numPassedTests} passed, ${failed} failed, ${skipped.length} skipped\n`,
)
process.exitCode = failed > 0 ? 1 : 0
