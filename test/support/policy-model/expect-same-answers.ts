import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { expectedAnswer, PROTECTED_HOSTS } from './expected-answer.ts'
import { loadProduct } from './product-answer.ts'
import { sentChecks } from './sent-checks.ts'
import { sentPeople } from './sent-people.ts'
import type { WrittenFile } from './written.ts'
import { writtenFiles } from './written-files.ts'

/** Requests of people and strangers that one file has to answer. */
export const askedOfFile = fc.array(
  fc.record({ sent: sentChecks, claims: fc.option(sentPeople, { nil: undefined, freq: 5 }) }),
  { minLength: 1, maxLength: 20, size: 'max' },
)

export interface Sample {
  readonly files: number
  readonly seed: number
}

/**
 * Loads this many generated files and asks each about generated people and requests. Throws with the seed and the smallest
 * case where the product's answer is not the model's. Returns the number of answers of each kind.
 */
export function expectSameAnswers({ files, seed }: Sample): ReadonlyMap<string, number> {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-policies-'))
  const answers = new Map<string, number>()
  const path = join(folder, 'vestibule.yaml')
  const isSame = (file: WrittenFile, asked: typeof askedOfFile extends fc.Arbitrary<infer Asked> ? Asked : never) => {
    const ask = loadProduct(stringify(file), path, PROTECTED_HOSTS)
    for (const { sent, claims } of asked) {
      const expected = expectedAnswer(file, sent, claims)
      const received = ask(sent, claims)
      const kind = `${expected.status}${expected.isNamed ? ' named' : ''}`
      answers.set(kind, (answers.get(kind) ?? 0) + 1)
      if (received.status === expected.status && received.isNamed === expected.isNamed) continue
      throw new Error(JSON.stringify({ file, sent, claims, expected, received }, undefined, 1))
    }
  }
  try {
    fc.assert(fc.property(writtenFiles, askedOfFile, isSame), { numRuns: files, seed })
  } finally {
    rmSync(folder, { recursive: true })
  }
  return answers
}
