import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { type EndingWorld, overAfterMs, signInWithSid, type Way } from './ending-ways.ts'
import { type EventClient, openEvents, publicOrigin } from './event-client.ts'
import { askAdmin } from './operator.ts'
import { readMetric } from './outage.ts'
import { until, watchOwnLag } from './own-lag.ts'
import type { RunningVestibule } from './vestibule.ts'

/** Time from the request that ends a session to the news at one client of it. */
export interface Delay {
  readonly ms: number
  /** Without the time for which this process was kept waiting. */
  readonly ownMs: number
}

export interface RoundOptions {
  readonly world: EndingWorld
  readonly way: Way
  /** Number of the round, by which each has users of its own and the replicas take turns. */
  readonly turn: number
  /** Opens clients of a session at every replica. */
  readonly open?: (cookie: string) => Promise<readonly EventClient[]>
}

type Round = Awaited<ReturnType<typeof beginRound>>

/** Names of two users for each round. */
export function usersOf(turn: number) {
  return { user: `user-${turn}`, stranger: `stranger-${turn}` }
}

/**
 * Name of broadcasts behind which all has arrived that a replica was told before. Pages whose session has ended never
 * receive one, so it also tells the message of an end from a look at the store, which comes later.
 */
const FENCE = 'fence'

/** Opens clients of three sessions at every replica; the returned function ends the first session, and tells how long its clients took to hear. */
async function beginRound({ world, way, turn, open }: RoundOptions) {
  const { all, provider } = world
  const at = (offset: number) => all[(turn + offset) % all.length] as RunningVestibule
  const openAll = open ?? ((cookie) => openAtEach(all, cookie))
  const { user, stranger } = usersOf(turn)
  const { tokenSeconds } = way
  const mine = await signInWithSid(provider, at(0), { sub: user, tokenSeconds })
  const other = await signInWithSid(provider, at(1), { sub: user, tokenSeconds })
  const third = await signInWithSid(provider, at(2), { sub: stranger })
  const clientsOf = {
    mine: await openAll(mine.cookie),
    other: await openAtEach(all, other.cookie),
    stranger: await openAtEach(all, third.cookie),
  }
  const sendFences = async (): Promise<void> => {
    for (const each of [user, stranger]) {
      const fence = { event: FENCE, data: null, user: each }
      const { status, text } = await askAdmin(at(0), 'POST', 'broadcast', fence)
      expect(status, text).toBe(202)
    }
  }
  const end = async (): Promise<readonly Delay[]> => {
    await wait(Math.max(0, mine.issuedAtMs + overAfterMs(way) - performance.now()))
    const lag = watchOwnLag()
    const askedAtMs = performance.now()
    await way.ask({ provider, at: at(turn), mine, other })
    // A refused refresh ends a session some time behind the answer.
    if (tokenSeconds === undefined) await sendFences()
    const ended = await expectEnds(clientsOf.mine, way)
    const lagMs = lag.end()
    await expectTurnedAway(all, mine.cookie, way)
    if (way.endsToo) await expectEnds(clientsOf.other, way)
    if (way.endsToo === 'of everybody') await expectEnds(clientsOf.stranger, way)
    if (tokenSeconds !== undefined) await sendFences()
    await expectFenceAlone([...clientsOf.other, ...clientsOf.stranger], way)
    return ended.map(({ atMs }) => {
      const ms = atMs - askedAtMs
      return { ms, ownMs: Math.max(0, ms - lagMs) }
    })
  }
  return {
    end: () =>
      end().finally(() => {
        provider.reset('token')
        for (const client of Object.values(clientsOf).flat()) client.close()
      }),
  }
}

/** Runs rounds of one way, with all sessions prepared first where they have to wait, and waits until no stream is left. */
export async function runRounds(count: number, options: Omit<RoundOptions, 'turn'>) {
  const { way, world } = options
  const delays: Delay[] = []
  const waiting: Round[] = []
  for (let turn = 0; turn < count; turn += 1) {
    const round = await beginRound({ ...options, turn })
    if (way.tokenSeconds !== undefined) waiting.push(round)
    else delays.push(...(await round.end()))
    if (waiting.length === 0) await untilNoStreams(world.all)
  }
  for (const round of waiting) delays.push(...(await round.end()))
  await untilNoStreams(world.all)
  return delays as readonly Delay[]
}

/** Returns how many streams each replica says that it has. */
export function streamCounts(all: readonly RunningVestibule[]): Promise<number[]> {
  return Promise.all(all.map((replica) => readMetric(replica, 'vestibule_event_streams')))
}

async function untilNoStreams(all: readonly RunningVestibule[]): Promise<void> {
  await until('streams that are forgotten', async () =>
    (await streamCounts(all)).every((count) => count === 0),
  )
}

/** Opens one client at each replica, without a gateway. */
export function openAtEach(
  all: readonly RunningVestibule[],
  cookie: string,
): Promise<EventClient[]> {
  return Promise.all(
    all.map(async (replica) => {
      const client = await openEvents({ origin: publicOrigin(replica), cookie })
      expect(client.status, client.text()).toBe(200)
      return client
    }),
  )
}

/** Asserts that each client hears of the end once, with its reason, and that its stream ends behind it. */
export async function expectEnds(
  clients: readonly EventClient[],
  { reason }: Pick<Way, 'reason'>,
  withinMs?: number,
) {
  await until('the end of each stream', () => clients.every((client) => !client.isOpen()), withinMs)
  const ends = await Promise.all(clients.map(({ ended }) => ended))
  const told = clients.map(namesAndData)
  expect(told).toEqual(clients.map(() => [['session-ended', JSON.stringify({ reason })]]))
  expect(ends).toEqual(clients.map(() => 'complete'))
  return clients.flatMap(({ events }) => events)
}

/** Asserts that a client that comes back is told at every replica why its session has ended. */
async function expectTurnedAway(
  all: readonly RunningVestibule[],
  cookie: string,
  { reason }: Pick<Way, 'reason'>,
): Promise<void> {
  for (const replica of all) {
    const { status, text } = await openEvents({ origin: publicOrigin(replica), cookie })
    expect([status, JSON.parse(text())]).toMatchObject([401, { error: 'login_required', reason }])
  }
}

/** Asserts that clients whose sessions go on have heard nothing but the broadcast, behind which nothing can follow. */
async function expectFenceAlone(clients: readonly EventClient[], { endsToo }: Way): Promise<void> {
  const shareGoingOn = endsToo === undefined ? 1 : endsToo === 'of the user' ? 1 / 2 : 0
  const going = clients.filter((client) => client.isOpen())
  expect(going).toHaveLength(clients.length * shareGoingOn)
  for (const client of going) {
    await until('the broadcast', () => client.events.length > 0 || !client.isOpen())
    expect([namesAndData(client), client.isOpen()]).toEqual([[[FENCE, 'null']], true])
  }
}

function namesAndData({ events }: EventClient): readonly (readonly string[])[] {
  return events.map(({ name, data }) => [name, data])
}
