import { expect, test } from 'vitest'
import { expectNumbers, numberBroadcasts, sendTo } from '../../support/broadcasts.ts'
import { openAtEach } from '../../support/ending-rounds.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import * as hybrid from '../../support/hybrid-replicas.ts'
import { expectEndsAtLast, LATE_ENDS } from '../../support/late-ends.ts'
import { askAdmin } from '../../support/operator.ts'
import { countEvents, signOut, untilEvent } from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'
import { addDirectly, storedSession } from '../../support/stored-session.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

const ROUNDS = 10
/** Design section 5: min(T, 3 s) with a dead subscriber. */
const STALE_WITHIN_MS = 3000

/** A replica whose way to Redis is disturbed, and two aside that reach it directly. */
async function startWithTwoAside() {
  const replicas = await startReplicas({ settings: LATE_ENDS })
  const aside = [await addDirectly(replicas), await addDirectly(replicas)]
  await untilWhole([replicas.first, ...aside])
  return Object.assign(replicas, { aside, everybody: [replicas.first, ...aside] })
}

type WithTwoAside = Awaited<ReturnType<typeof startWithTwoAside>>

async function openBoth({ everybody, aside }: WithTwoAside) {
  const [elsewhere] = aside as [VestibuleProcess]
  const ending = await hybrid.signInAt(elsewhere)
  const staying = await hybrid.signInAt(elsewhere, 'bob')
  return {
    ...ending,
    digest: storedSession(ending.cookie).digest,
    ending: await openAtEach(everybody, ending.cookie),
    staying: await openAtEach(everybody, staying.cookie),
  }
}

describeWithRedis('one replica is cut off from Redis, and two are not', () => {
  const fleet = prepared(startWithTwoAside)

  test('its streams stay, and when it is back they receive what they missed, ends with their reasons', async () => {
    const { network, first, aside } = fleet()
    const opened = await openBoth(fleet())
    const numbered = numberBroadcasts()
    await sendTo(numbered, ...fleet().everybody)
    await expectNumbers(opened.staying, numbered.accepted)
    await network.refuse()
    await sendTo(numbered, ...aside)
    expect(
      (await askAdmin(aside[0] as VestibuleProcess, 'DELETE', `sessions/${opened.digest}`)).status,
    ).toBe(200)
    await expectEndsAtLast(opened.ending.slice(1), 'operator')
    expect(opened.ending[0]?.isOpen()).toBe(true)
    await expectNumbers(opened.staying.slice(1), numbered.accepted)
    await expectNumbers(opened.staying.slice(0, 1), [1, 2, 3])
    await network.accept()
    await expectEndsAtLast(opened.ending, 'operator')
    await expectNumbers(opened.staying, numbered.accepted)
    await untilWhole([first])
    await sendTo(numbered, ...fleet().everybody)
    await expectNumbers(opened.staying, numbered.accepted)
    for (const client of opened.staying) client.close()
  })

  test('cut again and again between broadcasts: each arrives once and in order', async () => {
    const { network, first, aside } = fleet()
    const opened = await openBoth(fleet())
    const numbered = numberBroadcasts()
    for (let round = 0; round < ROUNDS; round += 1) {
      await sendTo(numbered, ...aside)
      network.cut()
      await sendTo(numbered, ...aside)
    }
    await untilWhole([first])
    await sendTo(numbered, first)
    await expectNumbers(opened.staying, numbered.accepted)
    for (const client of [...opened.staying, ...opened.ending]) client.close()
  })
})

describeWithRedis('the subscriber of one replica is dropped', () => {
  const fleet = prepared(startWithTwoAside)
  const drop = () => fleet().redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes')

  test('while it cannot hear, ends are found within the bound, and broadcasts arrive when it hears', async () => {
    const { network, first, aside } = fleet()
    const [elsewhere] = aside as [VestibuleProcess]
    const opened = await openBoth(fleet())
    const numbered = numberBroadcasts()
    await sendTo(numbered, ...fleet().everybody)
    const unmuffle = network.muffle(hybrid.SUBSCRIBER, 'present and later')
    await drop()
    await untilEvent(first, 'backplane_broken')
    for (const replica of aside) await hybrid.untilBackplaneHealthy(replica)
    await sendTo(numbered, ...aside)
    const { ownMs } = await timed(
      (async () => {
        expect((await signOut(hybrid.move(opened.browser, elsewhere))).status).toBe(303)
        await expectEndsAtLast(opened.ending, 'signed-out')
      })(),
    )
    expect(ownMs).toBeLessThan(STALE_WITHIN_MS + BUSY_MS)
    unmuffle()
    await hybrid.untilBackplaneHealthy(first)
    await expectNumbers(opened.staying, numbered.accepted)
    for (const client of opened.staying) client.close()
  })

  test('dropped again and again between broadcasts: each arrives once and in order', async () => {
    const opened = await openBoth(fleet())
    const numbered = numberBroadcasts()
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.all([drop(), sendTo(numbered, ...fleet().everybody)])
      await sendTo(numbered, ...fleet().everybody)
      for (const replica of fleet().everybody) await hybrid.untilBackplaneHealthy(replica)
    }
    await expectNumbers(opened.staying, numbered.accepted)
    for (const client of [...opened.staying, ...opened.ending]) client.close()
  })

  test('silent, with its connection open: what was said meanwhile arrives once and in order', async () => {
    const { network, first, aside } = fleet()
    const opened = await openBoth(fleet())
    const numbered = numberBroadcasts()
    await sendTo(numbered, ...fleet().everybody)
    const broken = countEvents(first, 'backplane_broken')
    const flow = network.muffle(hybrid.SUBSCRIBER)
    await sendTo(numbered, ...aside)
    await untilEvent(first, 'backplane_broken', broken + 1)
    await hybrid.untilBackplaneHealthy(first)
    await expectNumbers(opened.staying, numbered.accepted)
    flow()
    await sendTo(numbered, ...fleet().everybody)
    await expectNumbers(opened.staying, numbered.accepted)
    for (const client of [...opened.staying, ...opened.ending]) client.close()
  })
})
