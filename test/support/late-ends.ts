import { expect } from 'vitest'
import type { EndReason } from '../../src/core/end-reason.ts'
import type { EventClient } from './event-client.ts'
import { ADMIN_TOKEN } from './operator.ts'
import { until } from './own-lag.ts'
import { HYBRID, PATIENT } from './replicas.ts'

/** Settings with which memory outlives the bounds of tests, so that only a message or a look can end a stream in time. */
export const LATE_ENDS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30', ADMIN_TOKEN }

/** Asserts that of clients at each replica the one at this replica hears of the end, and the others do not. */
export async function expectEndsHere(
  clients: readonly EventClient[],
  at: number,
  reason: EndReason,
): Promise<void> {
  const here = clients[at] as EventClient
  await here.ended
  expect(endsOf(here)).toEqual([`{"reason":"${reason}"}`])
  const elsewhere = clients.filter((client) => client !== here)
  expect(elsewhere.map((client) => [client.isOpen(), endsOf(client)])).toEqual(
    elsewhere.map(() => [true, []]),
  )
}

/** Asserts that all clients hear of the end once, among other things. */
export async function expectEndsAtLast(
  clients: readonly EventClient[],
  reason: EndReason,
): Promise<void> {
  await until('the end of each stream', () => clients.every((client) => !client.isOpen()))
  expect(clients.map(endsOf)).toEqual(clients.map(() => [`{"reason":"${reason}"}`]))
}

function endsOf({ events }: EventClient): string[] {
  return events.filter(({ name }) => name === 'session-ended').map(({ data }) => data)
}
