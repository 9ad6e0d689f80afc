import { startSwappedRules } from '../swapped-rules.ts'
import type { LagLog } from './lag-log.ts'

export const SETS = ['even', 'odd'] as const
/** Set of rules, named after those whom its policy permits. */
export type SetName = (typeof SETS)[number]

/** Every person is in one of two groups. */
export function groupOf(person: number): SetName {
  return person % 2 === 0 ? 'even' : 'odd'
}

/** Rule that only reports, and would refuse everybody. */
export const REPORT_RULE = 'report'

/** Both sets lead the path of `nobody` to the half of the people whom the policy does not permit. */
function fileOf(set: SetName) {
  const others = SETS.filter((each) => each !== set)
  return {
    policies: { half: { groups: [set] } },
    rules: [
      { name: REPORT_RULE, access: 'signed-in', report: true, groups: ['nobody'] },
      { paths: ['/guests'], access: 'optional' },
      { paths: ['/others'], access: 'signed-in', groups: others },
    ],
  }
}

/** Kinds of pages that people look at in turns, each as the proxy asks for it. */
export const PAGES = [
  { kind: 'everybody', uri: '/', address: '/auth' },
  { kind: 'guests', uri: '/guests', address: '/auth' },
  { kind: 'half', uri: '/', address: '/auth?policy=half' },
  { kind: 'nobody', uri: '/others', address: '/auth?policy=half' },
] as const

export type Page = (typeof PAGES)[number]

/** Time within which changed rules hold at every replica that runs. */
const IN_FORCE_WITHIN_MS = 5000

/** Rules of all replicas, which are swapped while they run. */
export type RuleSets = Awaited<ReturnType<typeof startRuleSets>>

export async function startRuleSets() {
  const files = await startSwappedRules({ even: fileOf('even'), odd: fileOf('odd') })
  const uses = [{ set: SETS[0] as SetName, sinceMs: 0, untilMs: Number.POSITIVE_INFINITY }]
  return {
    path: files.path,
    swap: async () => {
      const before = uses.at(-1)
      const set = before?.set === 'even' ? 'odd' : 'even'
      const sinceMs = performance.now()
      await files.use(set)
      if (before) before.untilMs = performance.now()
      uses.push({ set, sinceMs, untilMs: Number.POSITIVE_INFINITY })
    },
    /** Returns the sets of which each may have been in force at some time between the two. */
    inForce: (sentAtMs: number, nowMs: number, lag: LagLog): ReadonlySet<SetName> => {
      const fromMs = sentAtMs - IN_FORCE_WITHIN_MS
      const possible = uses.filter(
        ({ sinceMs, untilMs }) => sinceMs <= nowMs && untilMs + lag.since(untilMs) >= fromMs,
      )
      return new Set(possible.map(({ set }) => set))
    },
    [Symbol.asyncDispose]: () => files[Symbol.asyncDispose](),
  }
}
