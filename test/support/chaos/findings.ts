import type { LedgerSession } from './ledger.ts'
import type { Trouble } from './trouble.ts'

/** Violations, each with the details of its first occurrence. */
export type Findings = ReturnType<typeof createFindings>

export interface FindingDetails {
  readonly replica?: number
  readonly session?: LedgerSession
  readonly sentAtMs?: number
  readonly detail?: string
}

const BEFORE_MS = 15_000

export function createFindings(trouble: Trouble) {
  let beganMs = performance.now()
  const found = new Map<string, { readonly text: string; count: number }>()
  const seconds = (ms: number) => ((ms - beganMs) / 1000).toFixed(2)

  const describe = (what: string, { replica, session, sentAtMs, detail }: FindingDetails) => {
    const nowMs = performance.now()
    const sent = sentAtMs === undefined ? '' : `, sent at ${seconds(sentAtMs)} s`
    const whose = session ? `, ${session.name} (${describeEnd(session)})` : ''
    const around = trouble.describe(nowMs - BEFORE_MS, nowMs)
    return `${seconds(nowMs)} s: ${what} at replica ${replica}${whose}${sent}, ${detail} [${around}]`
  }

  const describeEnd = ({ order }: LedgerSession): string => {
    if (!order) return 'not ended'
    const { ending, at, askedAtMs, answered } = order
    const answer = answered ? `${answered.outcome} at ${seconds(answered.atMs)} s` : 'no answer yet'
    return `${ending} asked at replica ${at} at ${seconds(askedAtMs)} s, ${answer}`
  }

  return {
    all: () => [...found.values()].map(({ text, count }) => `${text} ×${count}`),
    /** From now on times count. */
    begin: () => {
      beganMs = performance.now()
      return beganMs
    },
    add: (what: string, about: FindingDetails) => {
      const key = `${what} ${about.session?.name ?? about.replica}`
      const known = found.get(key)
      if (known) known.count += 1
      else found.set(key, { text: describe(what, about), count: 1 })
    },
  }
}
