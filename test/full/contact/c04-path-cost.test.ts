import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { longPath, pathUnits } from '../../support/long-paths.ts'
import { readMetric } from '../../support/outage.ts'
import { type WrittenRules, writeRules } from '../../support/rules-file.ts'
import { type RunningVestibule, startVestibule } from '../../support/vestibule.ts'

let rules: WrittenRules
let vestibule: RunningVestibule

beforeAll(async () => {
  const paths = Array.from({ length: 100 }, (_, index) => [
    `/a/b${index}/**/end${index}`,
    `/*/*/*/*/z${index}`,
  ]).flat()
  rules = await writeRules([{ paths, access: 'deny' }, { access: 'signed-in' }])
  vestibule = await startVestibule({ VESTIBULE_CONFIG: rules.path, ALLOW_ANY_USER: 'false' })
})
afterAll(async () => {
  await vestibule[Symbol.asyncDispose]()
  await rules[Symbol.asyncDispose]()
})

const CHECKS = 40
const ROUNDS = 3
/** Sent by a script, so that the answer is as short for each path. */
const headers = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }

/** Measures a check of this path in the service's CPU milliseconds: the cheapest of several rounds. */
const costMs = async (uri: string): Promise<number> => {
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const before = await readMetric(vestibule, 'vestibule_process_cpu_seconds_total')
    for (let index = 0; index < CHECKS; index++) await vestibule.check({ uri }, headers)
    const after = await readMetric(vestibule, 'vestibule_process_cpu_seconds_total')
    rounds.push(((after - before) * 1000) / CHECKS)
  }
  return Math.min(...rounds)
}

describe.for([2048, 8192])('C4: a path of %i characters', (length) => {
  test('costs a check at most five times a plain one, with 200 patterns', async () => {
    await costMs(longPath('a', length))
    const plainMs = await costMs(longPath('a', length))
    for (const unit of pathUnits) {
      expect(await costMs(longPath(unit, length, '!')), unit).toBeLessThan(5 * plainMs)
    }
  }, 300_000)
})

test('C4: a short path of every choice at once costs at most five times a plain one', async () => {
  const hostile = '/a%2541%3B%2F%5C%00%3F%23x//y%09/%80%c2%b2a./%u0041;x'
  await costMs('/a')
  const plainMs = await costMs(longPath('a', hostile.length))
  for (const path of [hostile, hostile.replaceAll('/', '/bcdefgh/'), hostile.slice(0, 30)]) {
    expect(await costMs(path), path).toBeLessThan(5 * plainMs)
  }
})
