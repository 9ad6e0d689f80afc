import { setTimeout as wait } from 'node:timers/promises'
import autocannon from 'autocannon'
import { expect, test } from 'vitest'
import { startProvider } from '../../../stand-ins/provider/provider.ts'
import { readMetric } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { forwardedNavigation } from '../../support/request-pool.ts'
import { startSwappedRules } from '../../support/swapped-rules.ts'
import { testClient } from '../../support/vestibule.ts'
import { startVestibuleProcess, type VestibuleProcess } from '../../support/vestibule-process.ts'

const SWAPS = 40
const PAUSE_MS = 500
/** Time within which changed rules hold. */
const IN_FORCE_WITHIN_MS = 5000
/** Rate that is tried; a busy machine may reach less. */
const PER_SECOND = 10_000
const CONNECTIONS = 32

const staff = { access: 'signed-in', groups: ['staff'] }
const others = { access: 'signed-in', groups: ['others'] }
const anybody = { access: 'signed-in' }
const nobody = { access: 'deny' }

/** Access by set, `a` and `b`, of each path; alice is of the staff. */
const RULES = {
  '/open': { a: { access: 'public' }, b: nobody },
  '/closed': { a: nobody, b: { access: 'public' } },
  '/staff': { a: staff, b: others },
  '/later': { a: nobody, b: anybody },
  '/before': { a: anybody, b: nobody },
  // Both match the path `/room%2Fdesk`, which is read with its slash and without.
  '/room/*': { a: nobody, b: staff },
  '/*': { a: staff, b: nobody },
} as const

/** Conditions by set: each lets alice pass in the set in which the path that demands it does not. */
const POLICIES = {
  later: { a: { groups: ['staff'] }, b: { groups: ['others'] } },
  before: { a: { groups: ['others'] }, b: { groups: ['staff'] } },
} as const

/**
 * Paths with what either set answers, and the policy that is demanded. A check that took its policy, or the rule of one
 * reading, from the other set would allow what both sets refuse.
 */
const CHECKS = [
  { path: '/open', answers: { a: 200, b: 403 } },
  { path: '/closed', answers: { a: 403, b: 200 } },
  { path: '/staff', answers: { a: 200, b: 403 } },
  { path: '/later', policy: 'later', answers: { a: 403, b: 403 } },
  { path: '/before', policy: 'before', answers: { a: 403, b: 403 } },
  { path: '/room%2Fdesk', answers: { a: 403, b: 403 } },
] as const

type Check = (typeof CHECKS)[number] & { readonly policy?: string }

type SetName = 'a' | 'b'

/** Returns the settings file of a set. */
function fileOf(set: SetName) {
  const rules = Object.entries(RULES).map(([path, access]) => ({ paths: [path], ...access[set] }))
  return { rules, policies: { later: POLICIES.later[set], before: POLICIES.before[set] } }
}

const provider = prepared(() => startProvider({ clients: [testClient] }))

const addressOf = ({ policy }: Check) => (policy === undefined ? '/auth' : `/auth?policy=${policy}`)

/** Asks for all paths in turns at a steady rate; `stop` resolves with the answers by path. */
function startLoad({ internalPort }: VestibuleProcess, cookie: string) {
  const answers = new Map<string, Map<number, number>>()
  const done = Promise.withResolvers<autocannon.Result>()
  const running = autocannon(
    {
      url: `http://127.0.0.1:${internalPort}`,
      connections: CONNECTIONS,
      overallRate: PER_SECOND,
      duration: 600,
      requests: CHECKS.map((check) => ({
        method: 'GET',
        path: addressOf(check),
        headers: {
          ...forwardedNavigation,
          Accept: '*/*',
          'X-Forwarded-Uri': check.path,
          Cookie: cookie,
        },
        onResponse: (status) => {
          const counts = answers.getOrInsertComputed(check.path, () => new Map<number, number>())
          counts.set(status, (counts.get(status) ?? 0) + 1)
        },
      })),
    },
    (error, result) => {
      if (error) done.reject(error)
      else done.resolve(result)
    },
  )
  return async () => {
    running.stop()
    const { errors, timeouts } = await done.promise
    return { answers, failures: errors + timeouts }
  }
}

/** Returns what each path is answered now. */
async function answersOf(vestibule: VestibuleProcess, cookie: string) {
  return Promise.all(
    CHECKS.map(async (check) => {
      const headers = { ...forwardedNavigation, 'X-Forwarded-Uri': check.path, Cookie: cookie }
      const url = `http://127.0.0.1:${vestibule.internalPort}${addressOf(check)}`
      return (await fetch(url, { headers, redirect: 'manual' })).status
    }),
  )
}

test('rules that are replaced 40 times under load: each check is answered by the old set or the new one', async () => {
  await using sets = await startSwappedRules({ a: fileOf('a'), b: fileOf('b') })
  await using vestibule = await startVestibuleProcess({
    OIDC_ISSUER_URL: provider().issuer,
    VESTIBULE_CONFIG: sets.path,
    ALLOW_ANY_USER: 'false',
  })
  const cookie = await vestibule.signIn('alice')
  const settled = (set: SetName) => CHECKS.map(({ answers }) => answers[set])
  expect(await answersOf(vestibule, cookie)).toEqual(settled('a'))

  const stop = startLoad(vestibule, cookie)
  for (let swap = 1; swap <= SWAPS; swap++) {
    await sets.use(swap % 2 ? 'b' : 'a')
    await wait(PAUSE_MS)
  }
  const { answers, failures } = await stop()

  expect(failures).toBe(0)
  for (const { path, answers: expected } of CHECKS) {
    expect(new Set(answers.get(path)?.keys()), path).toEqual(new Set(Object.values(expected)))
  }
  const reloads = await readMetric(vestibule, 'vestibule_rules_reloads_total{result="reloaded"}')
  expect(reloads, 'sets that came into force').toBeGreaterThan(SWAPS / 2)

  await sets.use('b')
  await expect
    .poll(() => answersOf(vestibule, cookie), { timeout: IN_FORCE_WITHIN_MS })
    .toEqual(settled('b'))
  for (let round = 0; round < 100; round++) {
    expect(await answersOf(vestibule, cookie)).toEqual(settled('b'))
  }
})
