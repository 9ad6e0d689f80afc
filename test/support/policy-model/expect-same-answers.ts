import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { expectedAnswer, PROTECTED_HOSTS } from './expected-answer.ts'
import { type AskProduct, loadProduct } from './product-answer.ts'
import { sentChecks } from './sent-checks.ts'
import { sentPeople } from './sent-people.ts'
import { smallestCase } from './smallest-case.ts'
import type { PolicyAnswer, SentCheck, SentClaims, WrittenFile } from './written.ts'
import { writtenFiles } from './written-files.ts'

/** Requests that each file has to answer. */
const ASKED_OF_FILE = 40

export interface Sample {
  readonly files: number
  readonly seed: number
}

interface Case {
  readonly file: WrittenFile
  readonly sent: SentCheck
  /** Claims of a person; absent for a stranger. */
  readonly claims?: SentClaims | undefined
}

const asked = fc.array(
  fc.record({ sent: sentChecks, claims: fc.option(sentPeople, { nil: undefined, freq: 5 }) }),
  { minLength: ASKED_OF_FILE, maxLength: ASKED_OF_FILE },
)

/**
 * Loads this many generated files and asks each what generated people and strangers may do. Throws with the seed and the
 * smallest case where the product does not answer as the model. Returns how often each answer was given.
 */
export function expectSameAnswers({ files, seed }: Sample): Readonly<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-policies-'))
  const load: Load = (file) =>
    loadProduct(stringify(file), join(folder, 'vestibule.yaml'), PROTECTED_HOSTS)
  const given: Record<string, number> = {}
  const property = fc.property(writtenFiles, asked, (file, requests) => {
    const ask = load(file)
    for (const { sent, claims } of requests) {
      const expected = describeAnswer(expectedAnswer(file, sent, claims))
      given[expected] = (given[expected] ?? 0) + 1
      if (describeAnswer(ask(sent, claims)) !== expected)
        throw new DifferentAnswer({ file, sent, claims })
    }
  })
  try {
    const { errorInstance: error } = fc.check(property, {
      numRuns: files,
      seed,
      endOnFailure: true,
    })
    if (error instanceof DifferentAnswer) throw new Error(describeCase(error.found, load, seed))
    if (error) throw error
  } finally {
    rmSync(folder, { recursive: true })
  }
  return given
}

type Load = (file: WrittenFile) => AskProduct

class DifferentAnswer extends Error {
  readonly found: Case

  constructor(found: Case) {
    super('the product does not answer as the model')
    this.found = found
  }
}

/** Describes the smallest file and claims with which the same request gets different answers. */
function describeCase({ sent, ...found }: Case, load: Load, seed: number): string {
  const answers = ({ file, claims }: Omit<Case, 'sent'>) =>
    [expectedAnswer(file, sent, claims), load(file)(sent, claims)].map(describeAnswer)
  const { file, claims } = smallestCase(found, (smaller) => {
    try {
      const [expected, received] = answers(smaller)
      return expected !== received
    } catch {
      // Neither the model nor a start takes a file or a person without what every one has.
      return false
    }
  })
  const [expected, received] = answers({ file, claims })
  const facts = { seed, sent, claims, expected, received }
  return `${stringify(file)}\n${JSON.stringify(facts, undefined, 1)}`
}

export function describeAnswer({ status, isNamed }: PolicyAnswer): string {
  return `${status}${isNamed ? ' with identity' : ''}`
}
