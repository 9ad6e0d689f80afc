import { expect, test } from 'vitest'
import { expectNumbers, numberBroadcasts, sendTo } from '../../support/broadcasts.ts'
import { openAtEach } from '../../support/ending-rounds.ts'
import { openEvents, publicOrigin } from '../../support/event-client.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { LATE_ENDS } from '../../support/late-ends.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, type ReplicaProcesses, startReplicas } from '../../support/replicas.ts'

/** All sessions are looked at once a minute, and a look takes a moment. */
const LOOKED_AT_WITHIN_MS = 60_000 + 2000

describeWithRedis('Redis loses its data, with pages at two replicas', () => {
  const losses = [
    ['is emptied', async ({ redis }: ReplicaProcesses) => void (await redis.cli('FLUSHALL'))],
    ['is started again without data', ({ redis }: ReplicaProcesses) => redis.restart()],
  ] as const
  const fleet = prepared(() => startReplicas({ count: 2, settings: LATE_ENDS }))

  test.for(losses)('Redis %s: all pages hear "expired" at the next look', async ([, lose]) => {
    const { all, first, signedIn } = fleet()
    await untilWhole(all)
    const { cookie } = await signedIn()
    const clients = await openAtEach(all, cookie)
    const numbered = numberBroadcasts()
    await sendTo(numbered, first)
    await expectNumbers(clients, [1])
    const { ownMs } = await timed(
      (async () => {
        await lose(fleet())
        return Promise.all(clients.map(({ ended }) => ended))
      })(),
    )
    for (const { events } of clients) {
      expect(events.at(-1)).toMatchObject({ name: 'session-ended', data: '{"reason":"expired"}' })
    }
    expect(ownMs).toBeLessThan(LOOKED_AT_WITHIN_MS + BUSY_MS)
    await untilWhole(all)
    const later = await signedIn()
    const lastId = clients[0]?.lastEventId() ?? ''
    const headers = { 'Last-Event-ID': lastId }
    using back = await openEvents({ origin: publicOrigin(first), cookie: later.cookie, headers })
    await sendTo(numbered, ...all)
    await expectNumbers([back], numbered.accepted.slice(1))
  })
})
