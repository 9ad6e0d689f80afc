import { z } from 'zod'
import { ConfigError, ValueError } from '../../config/config-error.ts'
import { tryReadText } from '../../config/sources/read-text.ts'
import { parseYaml } from '../../config/sources/yaml.ts'
import type { Explain } from '../../core/access/explain/explain.ts'
import type { Explanation } from '../../core/access/explain/explanation.ts'
import { isRecord } from '../../core/json.ts'
import { describeIssues, question } from '../../routes/admin/question.ts'
import { describeExplanation } from './describe-explanation.ts'
import { EXPECTATIONS, type Expectation, outcomeOf } from './expectation.ts'

const test = question.extend({
  name: z.exactOptional(z.string().min(1)),
  expect: z.enum(EXPECTATIONS),
})
const file = z.strictObject({
  tests: z
    .array(test, { error: 'the file has no tests' })
    .min(1, { error: 'the file has no tests' }),
})

/** Results of the tests of a file, in their order. */
export interface TestResults {
  readonly passed: number
  readonly failed: number
  readonly tests: readonly TestResult[]
}

interface TestResult {
  readonly name: string
  readonly expect: Expectation
  readonly outcome: Expectation
  readonly explanation: Explanation
}

/** Runs the tests of a file. Throws `ConfigError` for one that cannot be used or has none, which must not pass. */
export function runTests(ask: Explain, path: string): TestResults {
  const tests = readTests(path).map(({ name, expect, ...asked }): TestResult => {
    const explanation = ask(asked)
    return { name: name ?? asked.url, expect, outcome: outcomeOf(explanation), explanation }
  })
  const passed = tests.filter(isPassed).length
  return { passed, failed: tests.length - passed, tests }
}

/** Describes one test a line, those that failed with their explanation. */
export function describeResults({ tests, passed, failed }: TestResults): readonly string[] {
  return [...tests.flatMap(describeResult), `${passed} passed, ${failed} failed`]
}

function readTests(path: string): z.output<typeof file>['tests'] {
  const problems: string[] = []
  const text = tryReadText(path, '--tests', problems)
  if (text === undefined) throw new ConfigError(problems)
  const content = parse(text)
  const { data, error } = file.safeParse(isRecord(content) ? content : { tests: content })
  if (data) return data.tests
  throw new ConfigError(describeIssues(error).map((issue) => `--tests: ${issue}`))
}

function parse(text: string): unknown {
  try {
    return parseYaml(text).typed
  } catch (error) {
    if (error instanceof ValueError) throw new ConfigError([`--tests: not YAML: ${error.message}`])
    throw error
  }
}

function isPassed({ expect, outcome }: TestResult): boolean {
  return expect === outcome
}

function describeResult(result: TestResult): readonly string[] {
  const { name, expect, outcome, explanation } = result
  if (isPassed(result)) return [`ok ${name}`]
  return [
    `not ok ${name}: expected ${expect}, but the answer is ${outcome}`,
    ...describeExplanation(explanation).map((line) => `  ${line}`),
  ]
}
