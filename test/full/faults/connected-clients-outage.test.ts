import { expect, test } from 'vitest'
import { expectNumbers, numberBroadcasts, numbersAt, sendTo } from '../../support/broadcasts.ts'
import { openAtEach } from '../../support/ending-rounds.ts'
import { type EventClient, openEvents, publicOrigin } from '../../support/event-client.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import * as hybrid from '../../support/hybrid-replicas.ts'
import { expectEndsAtLast, expectEndsHere, LATE_ENDS } from '../../support/late-ends.ts'
import { askAdmin } from '../../support/operator.ts'
import { countEvents, signOut, untilMetric } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

describeWithRedis('Redis is killed and started, with pages at three replicas', () => {
  const fleet = prepared(() => startReplicas({ count: 3, settings: LATE_ENDS }))

  test('streams stay, broadcasts arrive once, and what ended meanwhile is told everywhere with its reason', async () => {
    const { redis, all, signedIn } = fleet()
    const [first, second] = all as [VestibuleProcess, VestibuleProcess]
    await untilWhole(all)
    const [leaving, ending, staying] = [await signedIn(), await signedIn(), await signedIn('bob')]
    const clients = {
      leaving: await openAtEach(all, leaving.cookie),
      ending: await openAtEach(all, ending.cookie),
      staying: await openAtEach(all, staying.cookie),
    }
    const numbered = numberBroadcasts()
    await sendTo(numbered, ...all)
    await expectNumbers(Object.values(clients).flat(), numbered.accepted)
    await redis.cli('SAVE')
    await redis.kill()
    for (const replica of all) expect(await numbered.send(replica)).toBe(503)

    expect((await signOut(leaving.browser)).status).toBe(303)
    await expectEndsHere(clients.leaving, 0, 'signed-out')
    const path = `sessions/${storedSession(ending.cookie).digest}`
    expect((await askAdmin(second, 'DELETE', path)).status).toBe(503)
    await expectEndsHere(clients.ending, 1, 'operator')

    await redis.restart({ keepData: true })
    await expectEndsAtLast(clients.leaving, 'signed-out')
    await expectEndsAtLast(clients.ending, 'operator')
    await untilWhole(all)
    await sendTo(numbered, ...all)
    await expectNumbers(clients.staying, numbered.accepted)
    await using fresh = await fleet().add()
    await untilWhole([fresh])
    const [late] = await openAtEach([fresh], staying.cookie)
    await sendTo(numbered, fresh, first)
    await expectNumbers(clients.staying, numbered.accepted)
    await expectNumbers([late as EventClient], numbered.accepted.slice(-2))
    for (const client of [...clients.staying, late as EventClient]) client.close()
  })

  test.for([
    ['a user’s sessions', 'sessions?user=alice', false],
    ['all sessions', 'sessions?all=true', true],
  ] as const)(
    'an operator’s end of %s is told at once where it was asked, and everywhere when Redis is back',
    async ([, path, isOfAll]) => {
      const { network, all, signedIn } = fleet()
      await untilWhole(all)
      const [mine, other] = [await signedIn(), await signedIn('bob')]
      const ending = await openAtEach(all, mine.cookie)
      const others = await openAtEach(all, other.cookie)
      await network.refuse()
      for (const replica of all) await untilMetric(replica, 'vestibule_redis_connected', 0)
      expect((await askAdmin(all[2] as VestibuleProcess, 'DELETE', path)).status).toBe(503)
      await expectEndsHere(ending, 2, 'operator')
      if (isOfAll) await expectEndsHere(others, 2, 'operator')
      else expect(others.map((client) => client.isOpen())).toEqual([true, true, true])
      await network.accept()
      await expectEndsAtLast(ending, 'operator')
      if (isOfAll) await expectEndsAtLast(others, 'operator')
      await untilWhole(all)
      const numbered = numberBroadcasts()
      await sendTo(numbered, ...all)
      const again = await signedIn()
      const fresh = await openAtEach(all, again.cookie)
      await sendTo(numbered, ...all)
      await expectNumbers(fresh, [4, 5, 6])
      if (!isOfAll) await expectNumbers(others, numbered.accepted)
      for (const client of [...fresh, ...others]) client.close()
    },
  )

  test('frozen, and let go: streams stay, what was accepted arrives once and in order, and so do ends', async () => {
    const { redis, all, signedIn } = fleet()
    await untilWhole(all)
    const [leaving, staying] = [await signedIn(), await signedIn('bob')]
    const ending = await openAtEach(all, leaving.cookie)
    const clients = await openAtEach(all, staying.cookie)
    const numbered = numberBroadcasts()
    await sendTo(numbered, ...all)
    await redis.pause()
    for (const replica of all) await numbered.send(replica)
    expect((await signOut(leaving.browser)).status).toBe(303)
    await (ending[0] as EventClient).ended
    expect(clients.map((client) => client.isOpen())).toEqual([true, true, true])
    await redis.resume()
    await expectEndsAtLast(ending, 'signed-out')
    await untilWhole(all)
    await sendTo(numbered, ...all)
    for (const client of clients) {
      await until('the last', () => numbersAt(client).includes(numbered.accepted.at(-1) ?? 0))
      const numbers = numbersAt(client)
      // A broadcast that was given up may have been carried out late, but once and at its place.
      expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b))
      expect(numbered.accepted.filter((each) => !numbers.includes(each))).toEqual([])
      expect(client.isOpen()).toBe(true)
      client.close()
    }
  })

  test('a client that comes back to another replica receives what it missed, once', async () => {
    const { redis, all, signedIn } = fleet()
    await untilWhole(all)
    const [first, second, third] = all as [VestibuleProcess, VestibuleProcess, VestibuleProcess]
    const { cookie } = await signedIn()
    const [before] = (await openAtEach([first], cookie)) as [EventClient]
    const numbered = numberBroadcasts()
    await sendTo(numbered, second, first)
    await expectNumbers([before], [1, 2])
    before.close()
    await sendTo(numbered, third, second)
    await redis.restart({ keepData: true })
    await untilWhole(all)
    await sendTo(numbered, first)
    for (const replica of all) {
      const headers = { 'Last-Event-ID': before.lastEventId() }
      using back = await openEvents({ origin: publicOrigin(replica), cookie, headers })
      await expectNumbers([back], [3, 4, 5])
    }
  })

  test('a new stream is for whom the replica knows; others come again, and nobody is said to have no session', async () => {
    const { network, all } = fleet()
    const [first] = all as [VestibuleProcess]
    await untilWhole(all)
    const { cookie } = await fleet().signedIn('bob')
    const assertion = await takeAssertion(first, cookie)
    await hybrid.keepInMemory(first, cookie)
    await using newcomer = await fleet().add()
    await untilWhole([newcomer])
    await network.refuse()
    await until('the loss', () => countEvents(newcomer, 'redis_disconnected') > 0)
    const open = (replica: VestibuleProcess, Cookie: string) =>
      openEvents({ origin: publicOrigin(replica), cookie: Cookie })
    const known = [await open(first, cookie), await open(newcomer, `${cookie}; ${assertion}`)]
    expect(known.map(({ status }) => status)).toEqual([200, 200])
    for (let asked = 0; asked < 10; asked += 1) {
      const { status, headers } = await open(newcomer, cookie)
      expect([status, Number(headers['retry-after']) > 0]).toEqual([503, true])
      expect(headers['set-cookie']).toBeUndefined()
    }
    await network.accept()
    await untilWhole([...all, newcomer])
    const again = await open(newcomer, cookie)
    expect(again.status).toBe(200)
    expect(known.map((client) => client.isOpen())).toEqual([true, true])
    for (const client of [...known, again]) client.close()
  })
})
