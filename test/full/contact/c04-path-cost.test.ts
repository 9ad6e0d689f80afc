import { describe, expect, test } from 'vitest'
import { longPath, pathUnits } from '../../support/long-paths.ts'
import { readMetric } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { writeRules } from '../../support/rules-file.ts'
import { startVestibuleProcess } from '../../support/vestibule-process.ts'

const paths = Array.from({ length: 100 }, (_, index) => [
  `/a/b${index}/**/end${index}`,
  `/*/*/*/*/z${index}`,
]).flat()
const rules = prepared(() => writeRules([{ paths, access: 'deny' }, { access: 'signed-in' }]))
const vestibule = prepared(() =>
  startVestibuleProcess({ VESTIBULE_CONFIG: rules().path, ALLOW_ANY_USER: 'false' }),
)

const CHECKS = 150
const ROUNDS = 3
/** Sent by a script, so that the answer is as short for each path. */
const headers = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }

/** Measures a check of this path in the service's CPU milliseconds: the cheapest of several rounds. */
async function costMs(uri: string): Promise<number> {
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const before = await readMetric(vestibule(), 'vestibule_process_cpu_seconds_total')
    for (let index = 0; index < CHECKS; index++) await vestibule().check({ uri }, headers)
    const after = await readMetric(vestibule(), 'vestibule_process_cpu_seconds_total')
    rounds.push(((after - before) * 1000) / CHECKS)
  }
  return Math.min(...rounds)
}

describe.for([2048, 16_384])('C4: a path of %i characters', (length) => {
  test('costs a check at most five times a plain one, with 200 patterns', async () => {
    await costMs(longPath('a', length))
    const plainMs = await costMs(longPath('a', length))
    for (const unit of pathUnits) {
      expect(await costMs(longPath(unit, length, '!')), unit).toBeLessThan(5 * plainMs)
    }
  }, 300_000)
})

/** Paths that cost most among 6,000 built at random. */
const worst: readonly string[] = [
  '/a%2541%3B%2F%5C%00%3F%23x//y%09/%80%c2%b2a./%u0041;x',
  `${'/x/'.repeat(90)}/%2541%252f%u0041//%23`,
  `${'/x'.repeat(500)}%5C;a%3Fb%23c//d.%252e`,
  `/${'a//b;c/d./'.repeat(200)}`,
  '/A/%3B%C2%B2%20%00/'.repeat(40),
  '/%3B/%252fA/%00%C2%B2%2541'.repeat(40),
  '/x%u0041.///%2f%C2%B2'.repeat(40),
  '/%2541%3B/%252f///%u0041'.repeat(20),
]

test('C4: a path of many choices costs at most five times a plain one', async () => {
  for (const path of worst) {
    const plain = longPath('a', path.length)
    await costMs(plain)
    expect(await costMs(path), path).toBeLessThan(5 * (await costMs(plain)))
  }
}, 300_000)
