import { expect, test } from 'vitest'
import { expectNumbers, numberBroadcasts, numbersAt, sendTo } from '../../support/broadcasts.ts'
import { openAtEach } from '../../support/ending-rounds.ts'
import { type EventClient, openEvents, publicOrigin } from '../../support/event-client.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import * as hybrid from '../../support/hybrid-replicas.ts'
import { ADMIN_TOKEN, askAdmin } from '../../support/operator.ts'
import { countEvents, signOut, untilEvent, untilMetric } from '../../support/outage.ts'
import { BUSY_MS, timed, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import {
  describeWithRedis,
  HYBRID,
  PATIENT,
  type ReplicaProcesses,
  startReplicas,
} from '../../support/replicas.ts'
import { addDirectly, storedSession } from '../../support/stored-session.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

/** Memory outlives the bounds below, so that only a message or a look can end a stream in time. */
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30', ADMIN_TOKEN }
const ROUNDS = 10
/** Design section 5: min(T, 3 s) with a dead subscriber. */
const STALE_WITHIN_MS = 3000
/** All sessions are looked at once a minute, and a look takes a moment. */
const LOOKED_AT_WITHIN_MS = 60_000 + 2000

const origin = publicOrigin

describeWithRedis('Redis is killed and started, with pages at three replicas', () => {
  const fleet = prepared(() => startReplicas({ count: 3, settings: SETTINGS }))

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
      using back = await openEvents({ origin: origin(replica), cookie, headers })
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
      openEvents({ origin: origin(replica), cookie: Cookie })
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

/** A replica whose way to Redis is disturbed, and two aside that reach it directly. */
async function startWithTwoAside() {
  const replicas = await startReplicas({ settings: SETTINGS })
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

describeWithRedis('Redis loses its data, with pages at two replicas', () => {
  const losses = [
    ['is emptied', async ({ redis }: ReplicaProcesses) => void (await redis.cli('FLUSHALL'))],
    ['is started again without data', ({ redis }: ReplicaProcesses) => redis.restart()],
  ] as const
  const fleet = prepared(() => startReplicas({ count: 2, settings: SETTINGS }))

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
    using back = await openEvents({ origin: origin(first), cookie: later.cookie, headers })
    await sendTo(numbered, ...all)
    await expectNumbers([back], numbered.accepted.slice(1))
  })
})

/** Asserts that of clients at each replica the one at this replica hears of the end, and the others do not. */
async function expectEndsHere(
  clients: readonly EventClient[],
  at: number,
  reason: 'signed-out' | 'operator',
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
async function expectEndsAtLast(
  clients: readonly EventClient[],
  reason: 'signed-out' | 'operator',
): Promise<void> {
  await until('the end of each stream', () => clients.every((client) => !client.isOpen()))
  expect(clients.map(endsOf)).toEqual(clients.map(() => [`{"reason":"${reason}"}`]))
}

function endsOf({ events }: EventClient): string[] {
  return events.filter(({ name }) => name === 'session-ended').map(({ data }) => data)
}
