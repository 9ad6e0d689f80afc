import { expect } from 'vitest'
import type { EventClient } from './event-client.ts'
import { askAdmin } from './operator.ts'
import { until } from './own-lag.ts'
import type { RunningVestibule } from './vestibule.ts'

/** Numbered broadcasts, by which it can be told whether clients have received each of them once and in order. */
export type Numbered = ReturnType<typeof numberBroadcasts>

const EVENT = 'notice'

export function numberBroadcasts() {
  const accepted: number[] = []
  let last = 0
  return {
    accepted: accepted as readonly number[],
    /** Sends the next number, and returns the status. */
    send: async (at: RunningVestibule): Promise<number> => {
      last += 1
      const data = last
      const { status, text } = await askAdmin(at, 'POST', 'broadcast', { event: EVENT, data })
      expect([202, 503], text).toContain(status)
      if (status === 202) accepted.push(data)
      return status
    },
  }
}

/** Sends broadcasts at these replicas, one after the other, all of which are to be accepted. */
export async function sendTo(numbered: Numbered, ...replicas: readonly RunningVestibule[]) {
  for (const replica of replicas) expect(await numbered.send(replica)).toBe(202)
}

/** Numbers that a client has received, in the order of their arrival. */
export function numbersAt({ events }: Pick<EventClient, 'events'>): number[] {
  return events.filter(({ name }) => name === EVENT).map(({ data }) => Number(data))
}

/** Asserts that each client receives each of these numbers once and in order, and that its stream stays. */
export async function expectNumbers(
  clients: readonly EventClient[],
  numbers: readonly number[],
  withinMs?: number,
): Promise<void> {
  for (const client of clients) {
    const hasLast = () => numbersAt(client).includes(numbers.at(-1) ?? 0)
    await until('the last broadcast', () => hasLast() || !client.isOpen(), withinMs)
    expect([numbersAt(client), client.isOpen()]).toEqual([numbers, true])
  }
}
