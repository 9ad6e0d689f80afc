import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isLater } from '../../src/core/event-id.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createBroadcastCodec } from '../../src/events/broadcast-codec.ts'
import { HELD_MS, MAX_SKEW_MS } from '../../src/events/mirror.ts'
import { LOGGED_MS, MAX_LOGGED } from '../../src/store/event-log.ts'
import {
  type BroadcastReplica,
  dataOf,
  KEY_PREFIX,
  NOW_MS,
  settle,
  startBroadcastWorld,
} from '../support/broadcast-world.ts'
import { words } from '../support/words.ts'

const AT = String(NOW_MS)
const HUGE = '999999999999999-999999999999999'

describe('broadcasts', () => {
  test('reach every replica once, in order, as the lines of an event, without a read', async () => {
    const world = startBroadcastWorld()
    const [a, b] = await world.addReplicas('a', 'b')
    const ids = [await a.send('first'), await a.send({ text: 'a\nb\r\u2028' })]
    while (b.inbox.length > 0) b.hear()
    for (const { delivered, broadcasts, state } of [a, b]) {
      expect(delivered.map(({ id }) => id)).toEqual(ids)
      expect(Buffer.from(delivered[1]?.bytes ?? []).toString()).toBe(
        `id: ${ids[1]}\nevent: notice\ndata: {"text":"a\\nb\\r\u2028"}\n\n`,
      )
      expect([broadcasts.latest, state.reads]).toEqual([ids[1], 0])
    }
  })

  test('carry name and audience beside the lines', async () => {
    const [a] = await startBroadcastWorld().addReplicas('a')
    const audience = { user: 'alice', host: 'app.example.com' }
    await a.broadcasts.send({ event: 'notice', data: 1, ...audience })
    expect(a.delivered).toMatchObject([{ broadcast: { event: 'notice', ...audience } }])
    expect(a.delivered[0]?.broadcast).not.toHaveProperty('data')
  })

  test.for<[what: string, order: readonly number[], lost: number]>([
    ['the first is lost', [0, 0], 1],
    ['all but the last are lost', [0], 2],
    ['they come backwards', [2, 1, 0], 0],
    ['the first comes last', [1, 1, 0], 0],
  ])('are in order and each there once where %s', async ([, order, lost]) => {
    const [a, b] = await startBroadcastWorld().addReplicas('a', 'b')
    for (const data of [1, 2, 3]) await a.send(data)
    const again = [...b.inbox]
    b.lose(lost)
    for (const at of order) b.hear(at)
    await settle()
    expect(b.data()).toEqual([1, 2, 3])
    expect(b.state.reads).toBe(1)
    for (const event of again) b.broadcasts.receive(event)
    await settle()
    expect([b.data(), b.state.reads]).toEqual([[1, 2, 3], 1])
  })

  test('that come while the log is read wait for those before them', async () => {
    const [a, b] = await startBroadcastWorld().addReplicas('a', 'b')
    await a.send(1)
    await a.send(2)
    b.lose(1)
    b.holdReads()
    b.hear()
    await settle()
    // The answer that is under way has neither of these, and 3 never comes by itself.
    await a.send(3)
    await a.send(4)
    b.lose(1)
    b.hear()
    await settle()
    expect(b.data()).toEqual([])
    b.releaseReads()
    await settle()
    expect([b.data(), b.state.reads]).toEqual([[1, 2, 3, 4], 2])
  })

  test('that come while the log is read, and follow what it has, need no other read', async () => {
    const [a, b] = await startBroadcastWorld().addReplicas('a', 'b')
    for (const data of [1, 2]) await a.send(data)
    b.lose(1)
    b.holdReads()
    b.hear()
    await settle()
    await a.send(3)
    b.hear()
    b.releaseReads()
    await settle()
    expect([b.data(), b.state.reads]).toEqual([[1, 2, 3], 1])
  })

  test('a catch-up that is asked for during a read begins another', async () => {
    const [a, b] = await startBroadcastWorld().addReplicas('a', 'b')
    b.holdReads()
    void b.broadcasts.catchUp()
    await settle()
    await a.send(1)
    b.lose()
    const caughtUp = b.broadcasts.catchUp()
    b.releaseReads()
    await caughtUp
    expect([b.data(), b.state.reads]).toEqual([[1], 2])
  })

  test('one that the log has lost is delivered all the same, in its place', async () => {
    const world = startBroadcastWorld()
    const [a, b] = await world.addReplicas('a', 'b')
    await a.send(1)
    await a.send(2)
    b.lose(1)
    world.loseLog()
    await a.send(3)
    b.hear()
    await settle()
    expect(b.data()).toEqual([2, 3])
  })

  test('at most a thousand wait, the latest', async () => {
    const world = startBroadcastWorld()
    const [a, b] = await world.addReplicas('a', 'b')
    b.state.isReadable = false
    for (let count = 0; count < MAX_LOGGED + 5; count++) await a.send(count)
    b.lose(1)
    while (b.inbox.length > 0) b.hear()
    await settle()
    world.loseLog()
    b.state.isReadable = true
    await b.broadcasts.catchUp()
    expect([b.data().length, b.data()[0]]).toEqual([MAX_LOGGED, 5])
  })

  test.for(['the next message', 'a catch-up'])(
    'wait for %s where the read fails',
    async (until) => {
      const [a, b] = await startBroadcastWorld().addReplicas('a', 'b')
      for (const data of [1, 2]) await a.send(data)
      b.lose(1)
      b.state.isReadable = false
      b.hear()
      await settle()
      expect([b.data(), b.broadcasts.isBehind, b.state.reads]).toEqual([[], true, 1])
      b.state.isReadable = true
      await a.send(3)
      if (until === 'a catch-up') await b.broadcasts.catchUp()
      else b.hear()
      await settle()
      expect([b.data(), b.broadcasts.isBehind]).toEqual([[1, 2, 3], false])
    },
  )

  test('a chain that is complete again needs no read', async () => {
    const [a, b] = await startBroadcastWorld().addReplicas('a', 'b')
    for (const data of [1, 2, 3]) await a.send(data)
    b.state.isReadable = false
    b.hear(2)
    b.hear(1)
    await settle()
    b.hear()
    expect(b.data()).toEqual([1, 2, 3])
  })

  test('one of this replica comes after one of another that was before it', async () => {
    const [a, b] = await startBroadcastWorld().addReplicas('a', 'b')
    await a.send('of a')
    await b.send('of b')
    await settle()
    expect(b.data()).toEqual(['of a', 'of b'])
    b.hear()
    expect(b.data()).toEqual(['of a', 'of b'])
  })

  test('one that was written although no answer came is an error to the sender, and delivered', async () => {
    const [a] = await startBroadcastWorld().addReplicas('a')
    a.state.losesAnswers = true
    await expect(a.send(1)).rejects.toThrow('Redis: deadline')
    await settle()
    expect(a.data()).toEqual([1])
  })

  test('a replica has those of the last hour from its first read on, and no position before', async () => {
    const world = startBroadcastWorld()
    const [a] = await world.addReplicas('a')
    expect(a.broadcasts.latest).toBe('0-0')
    await a.send('old')
    world.elapse(LOGGED_MS / 2)
    await a.send('recent')
    const b = world.addReplica()
    b.state.isReadable = false
    await b.broadcasts.catchUp()
    await a.send('new')
    b.hear()
    await settle()
    expect([b.broadcasts.latest, b.data()]).toEqual([undefined, []])
    b.state.isReadable = true
    await b.broadcasts.catchUp()
    expect([b.broadcasts.latest, b.data()]).toEqual([a.broadcasts.latest, ['old', 'recent', 'new']])
  })

  test('one that comes before the first read is new to the pages that are open, and what the read brings is not', async () => {
    const world = startBroadcastWorld()
    const [a] = await world.addReplicas('a')
    await a.send('old')
    const b = world.addReplica()
    await a.send('new')
    await a.send('newer')
    b.lose(1)
    b.hear()
    await settle()
    await b.send('newest')
    expect([b.data(), dataOf(b.live)]).toEqual([
      ['old', 'new', 'newer', 'newest'],
      ['newer', 'newest'],
    ])
  })

  test.for([-MAX_SKEW_MS, MAX_SKEW_MS])(
    'of a replica whose clock is %i ms ahead arrive, and are there for an hour',
    async (aheadMs) => {
      const world = startBroadcastWorld()
      const [a] = await world.addReplicas('a')
      const other = world.addReplica(aheadMs)
      await other.broadcasts.catchUp()
      await other.send(1)
      a.hear()
      world.elapse(LOGGED_MS - 1)
      const c = world.addReplica()
      await c.broadcasts.catchUp()
      expect([a, c, other].map(({ broadcasts }) => dataOf(broadcasts.after('0-0')))).toEqual([
        [1],
        [1],
        [1],
      ])
      world.elapse(2 * MAX_SKEW_MS + 1)
      expect([a, c, other].map(({ broadcasts }) => broadcasts.after('0-0'))).toEqual([[], [], []])
    },
  )
})

describe('the held broadcasts', () => {
  test('are those after an identifier, also one that nobody sent', async () => {
    const [a] = await startBroadcastWorld().addReplicas('a')
    const ids = [await a.send(1), await a.send(2), await a.send(3)]
    const after = (id: string) => dataOf(a.broadcasts.after(id))
    expect(ids.map(after)).toEqual([[2, 3], [3], []])
    expect(words`0-0 1-5 ${AT}-0 ${AT}-1 ${AT}-9 ${HUGE}`.map(after)).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [2, 3],
      [3],
      [],
      [],
    ])
  })

  test('are at most a thousand, of one hour and of 8 MiB', async () => {
    const world = startBroadcastWorld()
    const [a] = await world.addReplicas('a')
    const held = () => a.broadcasts.after('0-0')
    for (let count = 0; count < MAX_LOGGED + 5; count++) await a.send(count)
    expect([held().length, dataOf(held())[0]]).toEqual([MAX_LOGGED, 5])
    world.elapse(HELD_MS / 2)
    await a.send('late')
    world.elapse(HELD_MS / 2)
    expect(dataOf(held())).toEqual(['late'])
    world.elapse(HELD_MS)
    expect([held(), a.broadcasts.latest]).toEqual([[], a.delivered.at(-1)?.id])
    for (let count = 0; count < 9; count++) await a.send('a'.repeat(1024 * 1024))
    expect(held()).toHaveLength(7)
  })
})

describe('what does not open', () => {
  const codecOf = (key: number, prefix = KEY_PREFIX) =>
    createBroadcastCodec(createKeyRing([Buffer.alloc(32, key)]), prefix)
  const sent = { broadcast: { event: 'notice', data: 'forged' }, sentAt: NOW_MS }
  const sealedAs = (purpose: string, text: string) =>
    createKeyRing([Buffer.alloc(32, 1)]).seal(Buffer.from(text), {
      purpose,
      name: 'vestibule:{events}',
      realm: '',
    })
  const flipped = () => {
    const sealed = codecOf(1).seal(sent)
    sealed[sealed.length - 20] = (sealed.at(-20) ?? 0) ^ 1
    return sealed
  }
  const members = { at: NOW_MS, event: 'notice', data: 1 }
  const FORGED: Readonly<Record<string, () => Buffer>> = {
    nothing: () => Buffer.alloc(0),
    'plain text': () => Buffer.from(JSON.stringify(members)),
    'a broadcast of another key': () => codecOf(2).seal(sent),
    'a broadcast of another installation': () => codecOf(1, 'other:').seal(sent),
    'a broadcast with one bit changed': flipped,
    'another thing of ours': () => sealedAs('session', JSON.stringify(members)),
    'no JSON': () => sealedAs('broadcast', 'x'),
    ...Object.fromEntries(
      [
        { event: 'notice', data: 1 },
        { at: NOW_MS, event: 'notice' },
        { ...members, event: 'session-ended' },
        { ...members, event: 'a\nid: 1' },
        { ...members, user: '' },
        { ...members, host: null },
        { ...members, group: 'of a later version' },
      ].map((content) => [
        JSON.stringify(content),
        () => sealedAs('broadcast', JSON.stringify(content)),
      ]),
    ),
  }

  test.for(Object.keys(FORGED))(
    '%s is counted and reaches no page, and others go on',
    async (name) => {
      const world = startBroadcastWorld()
      const [a, b] = await world.addReplicas('a', 'b')
      const sealed = FORGED[name]?.() ?? Buffer.alloc(0)
      await a.send(1)
      b.hear()
      const previous = b.broadcasts.latest ?? ''
      for (const id of [HUGE, '1-0', `${NOW_MS}-5`]) b.broadcasts.receive({ id, previous, sealed })
      expect([b.state.unreadable, b.state.reads, b.broadcasts.latest]).toEqual([3, 0, previous])
      await a.send(2)
      b.hear()
      expect([b.data(), b.state.reads]).toEqual([[1, 2], 0])
      await world.write(sealed)
      await a.send(3)
      b.hear()
      await settle()
      expect([a.data(), b.data()]).toEqual([
        [1, 2, 3],
        [1, 2, 3],
      ])
      const c = world.addReplica()
      await c.broadcasts.catchUp()
      expect(c.data()).toEqual([1, 2, 3])
    },
  )

  test.for(words`1 -1 1-1-1 a-b \x20 1-0\x20 9999999999999999-0`)(
    'a message with the identifier %j is passed over',
    async (id) => {
      const [a] = await startBroadcastWorld().addReplicas('a')
      const sealed = codecOf(1).seal(sent)
      a.broadcasts.receive({ id, previous: '0-0', sealed })
      a.broadcasts.receive({ id: '1-0', previous: id, sealed })
      await settle()
      expect([a.data(), a.state.reads]).toEqual([[], 0])
    },
  )

  test('a genuine one that is published again, under any identifier, is delivered once', async () => {
    const world = startBroadcastWorld()
    const [a, b] = await world.addReplicas('a', 'b')
    await a.send(1)
    const [event] = b.inbox
    if (!event) throw new Error('no message')
    b.hear()
    const previous = event.id
    for (const id of [HUGE, '1-0', `${NOW_MS + 1}-0`])
      b.broadcasts.receive({ id, previous, sealed: event.sealed })
    await world.write(event.sealed)
    await b.broadcasts.catchUp()
    expect(b.data()).toEqual([1])
    world.elapse(HELD_MS)
    expect(b.broadcasts.after('0-0')).toEqual([])
    b.broadcasts.receive({ ...event, id: `${world.now()}-0`, previous })
    await world.write(event.sealed)
    await b.broadcasts.catchUp()
    await a.send(2)
    b.hear()
    await settle()
    expect([b.data(), b.state.unreadable]).toEqual([[1, 2], 0])
  })
})

describe('where Redis has lost its data', () => {
  test('identifiers go on from the latest that the sender knows, also by a clock that was set back', async () => {
    const world = startBroadcastWorld()
    const [a, b] = await world.addReplicas('a', 'b')
    const before = await a.send(1)
    b.hear()
    world.loseLog(LOGGED_MS)
    const ids = [await b.send(2), await a.send(3)]
    a.hear()
    b.hear()
    await settle()
    expect(ids.every((id) => isLater(id, before))).toBe(true)
    expect([a.data(), b.data()]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ])
  })

  test.for(['a message', 'the notice that the data were lost'])(
    'smaller identifiers of a sender that knows none are found by %s, once and without a loop',
    async (how) => {
      const world = startBroadcastWorld()
      const [a] = await world.addReplicas('a')
      const before = await a.send(1)
      world.loseLog(LOGGED_MS)
      const [b] = await world.addReplicas('b')
      const first = await b.send(2)
      const second = await b.send(3)
      expect(isLater(before, second)).toBe(true)
      a.lose(1)
      if (how === 'a message') a.hear()
      else await a.broadcasts.readAnew()
      await settle()
      expect([a.data(), a.state.reads]).toEqual([[1, 2, 3], 1])
      expect(dataOf(a.broadcasts.after(before))).toEqual([2, 3])
      expect(dataOf(a.broadcasts.after(first))).toEqual([3])
      await a.send(4)
      b.hear()
      await settle()
      expect([a.data(), b.data(), a.state.reads]).toEqual([[1, 2, 3, 4], [2, 3, 4], 1])
    },
  )

  test('a log that begins anew during a read is read from its beginning, after what the old one had', async () => {
    const world = startBroadcastWorld()
    const [a] = await world.addReplicas('a')
    const [old] = await world.addReplicas('old')
    await a.send(1)
    old.hear()
    await old.send('missed')
    a.lose()
    a.holdReads()
    void a.broadcasts.catchUp()
    await settle()
    world.loseLog(LOGGED_MS)
    const [b] = await world.addReplicas('b')
    await b.send(2)
    await b.send(3)
    a.lose(1)
    a.hear()
    a.releaseReads()
    await settle()
    expect([a.data(), a.state.reads]).toEqual([[1, 'missed', 2, 3], 2])
  })
})

const REPLICA = fc.constantFrom(0, 1, 2)
const PLACE = fc.constantFrom(0, 1, 2)
const stepsOf = (...further: readonly string[]) => {
  const others = words`lose fail answer hold release catch-up settle`.concat(further)
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant('send'), REPLICA, PLACE) },
    { weight: 8, arbitrary: fc.tuple(fc.constant('hear'), REPLICA, PLACE) },
    fc.tuple(fc.constantFrom(...others), REPLICA, PLACE),
  )
  return fc.array(step, { maxLength: 60 })
}

/** Runs the steps at three replicas, which then read what they may have missed. */
async function runSteps(steps: readonly (readonly [what: string, at: number, place: number])[]) {
  const world = startBroadcastWorld()
  const replicas = [world.addReplica(), world.addReplica(), world.addReplica()]
  let count = 0
  const acts: Readonly<Record<string, (replica: BroadcastReplica, place: number) => unknown>> = {
    send: (replica) => replica.send(count++),
    hear: (replica, place) => replica.hear(place),
    lose: (replica) => replica.lose(1),
    fail: ({ state }) => void (state.isReadable = false),
    answer: ({ state }) => void (state.isReadable = true),
    hold: (replica) => replica.holdReads(),
    release: (replica) => replica.releaseReads(),
    'catch-up': ({ broadcasts }) => void broadcasts.catchUp(),
    anew: ({ broadcasts }) => void broadcasts.readAnew(),
    settle,
    'log-lost': () => world.loseLog(),
    'clock-back': () => world.loseLog(LOGGED_MS / 60),
  }
  for (const [what, at, place] of steps) await acts[what]?.(replicas[at] as BroadcastReplica, place)
  for (const replica of replicas) {
    replica.state.isReadable = true
    replica.releaseReads()
    await replica.broadcasts.catchUp()
  }
  return { replicas, logged: (await world.readLog()).map(({ id }) => id) }
}

test('whatever is lost, late, out of order or unread, each replica delivers each broadcast once and in order', async () => {
  const property = fc.asyncProperty(stepsOf(), async (steps) => {
    const { replicas, logged } = await runSteps(steps)
    for (const { broadcasts, delivered } of replicas) {
      expect(delivered.map(({ id }) => id)).toEqual(logged)
      expect(broadcasts.after('0-0').map(({ id }) => id)).toEqual(logged)
    }
  })
  await fc.assert(property, { numRuns: 500, seed: 15 })
})

test('also where the log is lost, each delivers none twice and all that the last log has', async () => {
  const property = fc.asyncProperty(stepsOf('anew', 'log-lost', 'clock-back'), async (steps) => {
    const { replicas, logged } = await runSteps(steps)
    for (const replica of replicas) {
      await replica.broadcasts.readAnew()
      const data = replica.data()
      expect(new Set(data).size).toBe(data.length)
      expect(replica.delivered.map(({ id }) => id)).toEqual(expect.arrayContaining(logged))
    }
  })
  await fc.assert(property, { numRuns: 500, seed: 15 })
})
