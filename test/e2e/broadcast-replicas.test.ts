import { afterEach, expect, test } from 'vitest'
import { openEvents, publicOrigin, untilEvents } from '../support/event-client.ts'
import { SUBSCRIBER } from '../support/hybrid-replicas.ts'
import { readMetric } from '../support/outage.ts'
import { prepared } from '../support/prepared.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicasInProcess } from '../support/replicas.ts'
import type { RunningVestibule } from '../support/vestibule.ts'

const BROADCAST_TOKEN = 'b'.repeat(32)
const KEY = 'vestibule:{events}'

async function send({ internalPort }: RunningVestibule, data: unknown): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${internalPort}/admin/broadcast`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${BROADCAST_TOKEN}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ event: 'notice', data }),
  })
  const { id = '' } = (await response.json()) as { id?: string }
  return response.status === 202 ? id : String(response.status)
}

describeWithRedis('broadcasts over replicas', () => {
  const fleet = prepared(() =>
    startReplicasInProcess({
      count: 2,
      settings: { ...PATIENT, ...HYBRID, BROADCAST_TOKEN },
    }),
  )
  afterEach(() => fleet().network.accept())

  /** A page at each replica, whose streams end with the test. */
  async function openPages() {
    const { all, signedIn } = fleet()
    const { cookie } = await signedIn()
    const open = (replica: RunningVestibule, lastEventId?: string) =>
      openEvents({
        origin: publicOrigin(replica),
        cookie,
        headers: { 'Last-Event-ID': lastEventId },
      })
    const pages = await Promise.all(all.map((each) => open(each)))
    const [one, other] = all as readonly [RunningVestibule, RunningVestibule]
    return {
      one,
      other,
      open,
      /** Waits for this last one at both pages and returns what each has received. */
      received: async (last: unknown) => Promise.all(pages.map((page) => dataUntil(page, last))),
      [Symbol.dispose]: () => pages.forEach((page) => page.close()),
    }
  }

  test('each reaches the pages of both, once and in order, also after the log was lost or had foreign entries', async () => {
    using world = await openPages()
    const { cli } = fleet().redis
    await send(world.one, 1)
    await send(world.other, 2)
    await cli('DEL', KEY)
    await send(world.other, 3)
    await cli('XADD', KEY, '*', 'e', 'AA')
    await send(world.one, 4)
    await cli('XADD', KEY, '18446744073709551615-18446744073709551615', 'e', 'AA')
    await send(world.other, 5)
    await cli('DEL', KEY)
    await cli('SET', KEY, 'text')
    const last = await send(world.one, 6)
    expect(last).toMatch(/^\d+-\d+$/)
    expect(await world.received(6)).toEqual([
      [1, 2, 3, 4, 5, 6],
      [1, 2, 3, 4, 5, 6],
    ])
    expect(
      await readMetric(world.other, 'vestibule_store_integrity_failures_total'),
    ).toBeGreaterThan(0)
  })

  test('one that no subscriber heard reaches all pages when they hear again', async () => {
    using world = await openPages()
    await send(world.one, 'before')
    await world.received('before')
    const { cut, muffle } = fleet().network
    const flow = muffle(SUBSCRIBER)
    await send(world.one, 'unheard')
    cut()
    flow()
    expect(await world.received('unheard')).toEqual([
      ['before', 'unheard'],
      ['before', 'unheard'],
    ])
  })

  test('one whose answer is lost is an error to the sender, and reaches all pages once', async () => {
    using world = await openPages()
    const before = await send(world.one, 'before')
    const executed = fleet().network.cutAfterRequest('XADD')
    const status = send(world.one, 'unanswered')
    await executed
    expect(await status).toBe('503')
    await fleet().network.accept()
    await expect.poll(() => send(world.other, 'last')).toMatch(/^\d+-\d+$/)
    expect(await world.received('last')).toEqual([
      ['before', 'unanswered', 'last'],
      ['before', 'unanswered', 'last'],
    ])
    using late = await world.open(world.other, before)
    expect(await dataUntil(late, 'last')).toEqual(['unanswered', 'last'])
  })
})

async function dataUntil(
  client: Parameters<typeof untilEvents>[0],
  last: unknown,
): Promise<unknown[]> {
  const data = () => client.events.map((each) => JSON.parse(each.data) as unknown)
  await expect.poll(() => data().at(-1)).toBe(last)
  return data()
}
