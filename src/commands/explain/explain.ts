import type { Environment } from '../../config/config.ts'
import { ConfigError } from '../../config/config-error.ts'
import type { Explain } from '../../core/access/explain/explain.ts'
import type { Question } from '../../core/access/explain/question.ts'
import { toSafeJson, toSafeLines } from '../terminal-text.ts'
import { describeExplanation } from './describe-explanation.ts'
import { type Expectation, outcomeOf } from './expectation.ts'
import { createLocalExplain } from './local-explain.ts'
import { parseOptions, USAGE } from './parse-options.ts'
import { describeResults, runTests } from './tests.ts'

/**
 * Says what the check answers by the configuration of this environment, without a service and without secrets. Returns
 * 0 = explained, 1 = an expectation is not met, 2 = a usage error or a configuration that cannot be used.
 */
export async function explain(environment: Environment, ...args: string[]): Promise<number> {
  const asked = parseOptions(args)
  if ('fault' in asked) {
    process.stderr.write(`${USAGE}${toSafeLines([`vestibule: ${asked.fault}`])}`)
    return 2
  }
  try {
    const ask = createLocalExplain(environment)
    return 'tests' in asked
      ? printTests(ask, asked.tests, asked.isJson)
      : printExplanation(ask, asked.question, asked)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(toSafeLines(`vestibule: ${error.message}`.split('\n')))
    return 2
  }
}

function printExplanation(
  ask: Explain,
  question: Question,
  { expect, isJson }: { readonly expect?: Expectation; readonly isJson: boolean },
): number {
  const explanation = ask(question)
  process.stdout.write(
    isJson ? toSafeJson(explanation) : toSafeLines(describeExplanation(explanation)),
  )
  const outcome = outcomeOf(explanation)
  if (expect === undefined || expect === outcome) return 0
  process.stderr.write(`vestibule: expected ${expect}, but the answer is ${outcome}\n`)
  return 1
}

function printTests(ask: Explain, path: string, isJson: boolean): number {
  const results = runTests(ask, path)
  process.stdout.write(isJson ? toSafeJson(results) : toSafeLines(describeResults(results)))
  return results.failed === 0 ? 0 : 1
}
