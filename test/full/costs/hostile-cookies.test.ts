import { expect, test } from 'vitest'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { startVestibule } from '../../support/vestibule.ts'

const ROUNDS = 20

/** Milliseconds that each of two works takes when nothing comes in between, taken in turn. */
const cheapestOf = async (
  one: () => Promise<unknown>,
  other: () => Promise<unknown>,
): Promise<readonly [oneMs: number, otherMs: number]> => {
  const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY] as [number, number]
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [at, work] of [one, other].entries()) {
      const startedAtMs = performance.now()
      await work()
      least[at] = Math.min(least[at] as number, performance.now() - startedAtMs)
    }
  }
  return least
}

const BYTES = 55_000

/** Multiple of the cost of a harmless header of the same length. */
const MOST = 5

test.for([
  ['our name over and over', SESSION_COOKIE],
  ['our name and nothing', `${SESSION_COOKIE};`],
  ['names that end like ours', `x${SESSION_COOKIE}=1;`],
  ['our name and blanks', `${SESSION_COOKIE} \t`],
  ['blanks', ' '],
  ['separators', ';'],
])('A76: 55 KB of %s cost no more than 55 KB of one cookie', async ([, piece = '']) => {
  await using vestibule = await startVestibule()
  const check = async (Cookie: string) =>
    expect((await vestibule.check({}, { Cookie })).status).toBe(302)
  const hostile = piece.repeat(Math.ceil(BYTES / piece.length)).slice(0, BYTES)
  const plain = `theme=${'x'.repeat(BYTES - 'theme='.length)}`
  const [hostileMs, plainMs] = await cheapestOf(
    () => check(hostile),
    () => check(plain),
  )
  expect(hostileMs).toBeLessThan(MOST * plainMs)
})
