import { describe, expect, test } from 'vitest'
import { makeStreams, settle } from '../support/made-streams.ts'

const HOUR_MS = 60 * 60 * 1000

describe('a stream', () => {
  test.for([
    [undefined, '5-1'],
    ['0-0', '0-0'],
  ])(
    'from %s begins with the time of a reconnect and the position %s alone',
    ([from, position]) => {
      const made = makeStreams()
      made.hold()
      const { text } = made.connect(from === undefined ? {} : { lastEventId: from })
      expect(text()).toMatch(new RegExp(`^retry: \\d+\\nid: ${position}\\nsession: \\S+\\n\\n$`))
    },
  )

  test('tells the end of its session with the reason, and ends', () => {
    const made = makeStreams()
    const [own, other] = [made.connect({ session: 'a' }), made.connect({ session: 'b' })]
    made.streams.end('a', 'operator')
    expect([own.told(), own.state()]).toEqual([['session-ended operator'], 'ended'])
    expect([other.told(), other.state()]).toEqual([[], 'open'])
    expect(made.closed).toEqual(['session-ended'])
    expect(made.sent['session-ended']).toBe(1)
  })

  test('tells the end of a session that ended while the stream was opened', () => {
    const made = makeStreams()
    const { told, state } = made.connect({ reasonFor: () => 'provider' })
    expect([told(), state(), made.streams.size]).toEqual([['session-ended provider'], 'ended', 0])
  })

  test('tells when its session ends after it was renewed', () => {
    const made = makeStreams()
    const { told } = made.connect()
    made.streams.renew('a')
    made.streams.renew('unknown')
    expect(told()).toEqual(['session-renewed 3600'])
    expect(made.sent['session-renewed']).toBe(1)
  })

  test('of a session that is refused from now on ends, and no other', async () => {
    const made = makeStreams()
    const [own, other] = [made.connect({ session: 'a' }), made.connect({ session: 'b' })]
    made.streams.review((digest) => (digest === 'a' ? 'provider' : undefined))
    await settle()
    expect([own.told(), other.told()]).toEqual([['session-ended provider'], []])
  })

  test('is forgotten when its client leaves', () => {
    const made = makeStreams()
    const client = made.connect()
    made.leave(client)
    made.leave(client)
    expect([made.streams.size, made.closed]).toEqual([0, ['left']])
  })

  test('gets a comment every fifteen seconds, and not all streams at once', async () => {
    const made = makeStreams()
    const clients = Array.from({ length: 30 }, (_, which) => made.connect({ session: `${which}` }))
    await made.pass(1)
    expect(clients.filter(({ comments }) => comments() > 0)).toHaveLength(2)
    await made.pass(29)
    expect(clients.map(({ comments }) => comments())).toEqual(Array(30).fill(2))
  })
})

describe('too many streams', () => {
  test('of one session: the oldest goes and comes back late', () => {
    const made = makeStreams()
    const clients = Array.from({ length: 12 }, () => made.connect())
    const states = clients.map(({ state }) => state())
    expect(states).toEqual(['ended', 'ended', ...Array<string>(10).fill('open')])
    expect(clients[0]?.retriesMs()[1]).toBe(300_000)
    expect(made.closed).toEqual(['surplus', 'surplus'])
  })

  test('of the replica: the next one is refused, but a full session replaces its oldest', () => {
    const made = makeStreams({ maxStreams: 10 })
    const clients = Array.from({ length: 10 }, () => made.connect())
    expect(made.connect({ session: 'b' }).isOpen).toBe(false)
    expect(made.connect().isOpen).toBe(true)
    expect([made.streams.size, made.refused(), clients[0]?.state()]).toEqual([10, 1, 'ended'])
  })
})

describe('a reader', () => {
  test('with more than 64 KiB unread is cut off, and no other', () => {
    const made = makeStreams()
    const [slow, other] = [made.connect({ isReading: false }), made.connect()]
    for (let count = 0; count < 2000; count++) made.streams.renew('a')
    expect([slow.state(), other.state(), made.closed]).toEqual(['destroyed', 'open', ['slow']])
    expect(slow.unreadBytes()).toBeLessThan(66 * 1024)
  })

  test.for([
    ['that does not take the end of its stream is cut off after two seconds', false, 'destroyed'],
    ['that takes it is left alone', true, 'ended'],
  ] as const)('%s', async ([, isTaken, state]) => {
    const made = makeStreams()
    const client = made.connect()
    made.streams.end('a', 'operator')
    await made.pass(2)
    expect(client.state()).toBe('ended')
    if (isTaken) made.leave(client)
    await made.pass(1)
    expect([client.state(), made.isTicking()]).toEqual([state, false])
  })
})

describe('a session', () => {
  test('that is too old ends in the second in which it expires', async () => {
    const made = makeStreams()
    const client = made.connect()
    await made.pass(HOUR_MS / 1000 - 1)
    expect(client.told()).toEqual([])
    await made.pass(1)
    expect(client.told()).toEqual(['session-ended expired'])
  })

  test.for([
    ['was used elsewhere goes on and is told its end', 'alive', ['session-renewed 60']],
    ['was not used has expired', 'ended', ['session-ended expired']],
    ['has a tombstone ends with its reason', 'operator', ['session-ended operator']],
    ['cannot be looked up goes on', 'away', []],
  ] as const)('whose end by idleness has come and that %s', async ([, found, told]) => {
    const made = makeStreams({ idleTimeoutMs: 10_000 })
    made.lives.set('a', { kind: 'alive', leftMs: 20_000 })
    const client = made.connect()
    await made.pass(20)
    expect([client.told(), made.asked.length]).toEqual([[], 1])
    made.set({ isAway: found === 'away' })
    if (found === 'alive') made.lives.set('a', { kind: 'alive', leftMs: 60_000 })
    else if (found === 'ended') made.lives.set('a', { kind: 'ended', reason: undefined })
    else made.lives.set('a', { kind: 'ended', reason: 'operator' })
    await made.pass(1)
    expect([client.told(), made.asked.length]).toEqual([told, 2])
    // Asks again, not at once, until the store answers.
    await made.pass(2)
    expect(made.asked.length).toBe(2)
    made.set({ isAway: false })
    await made.pass(1)
    expect(client.told()).toEqual(found === 'away' ? ['session-ended operator'] : told)
  })

  test('is looked up in the first second, because an end may have been missed meanwhile', async () => {
    const made = makeStreams()
    made.lives.set('a', { kind: 'ended', reason: 'operator' })
    const client = made.connect()
    await made.pass(1)
    expect(client.told()).toEqual(['session-ended operator'])
  })

  test.for([
    ['once a minute', true, 60],
    ['every three seconds while no messages arrive', false, 3],
  ] as const)('is looked up %s, together with all others', async ([, isHearing, seconds]) => {
    const made = makeStreams()
    made.set({ isHearing })
    for (const session of ['a', 'b', 'b']) made.connect({ session })
    await made.pass(1)
    made.asked.length = 0
    await made.pass(seconds - 1)
    expect(made.asked).toEqual([['a', 'b']])
    expect(made.mirror.reads).toBe(1)
  })

  test('is not looked up earlier where broadcasts may wait, which are read after three seconds', async () => {
    const made = makeStreams()
    made.connect()
    await made.pass(2)
    made.mirror.isBehind = true
    expect(made.mirror.reads).toBe(0)
    await made.pass(1)
    expect([made.mirror.reads, made.asked.length]).toEqual([1, 1])
  })

  test('has one end, although two readings of it differ by less than a second', async () => {
    const made = makeStreams({ idleTimeoutMs: 10_000 })
    const { told } = made.connect()
    for (const leftMs of [10_000, 10_900, 25_000]) {
      expect(told()).toEqual([])
      made.lives.set('a', { kind: 'alive', leftMs })
      await made.streams.look()
    }
    expect(told()).toEqual(['session-renewed 25'])
  })

  test('whose pages have gone during a look is not told to its next pages', async () => {
    const reading = Promise.withResolvers<void>()
    let leftMs = 10_000
    const readLives = async () => {
      if (leftMs > 10_000) await reading.promise
      return [{ kind: 'alive', leftMs } as const]
    }
    const made = makeStreams({ idleTimeoutMs: 10_000, store: { readLives } })
    const client = made.connect()
    await made.streams.look()
    leftMs = 60_000
    const look = made.streams.look()
    made.leave(client)
    const next = made.connect()
    reading.resolve()
    await look
    expect(next.told()).toEqual([])
  })

  test('is kept without its claims', async () => {
    const made = makeStreams()
    made.connect()
    const kept: unknown[] = []
    made.streams.review((_, { identity }) => void kept.push(identity.claims))
    await settle()
    expect(kept).toEqual([{}])
  })

  test('is looked up in the second in which messages cease to arrive, then every three', async () => {
    const made = makeStreams()
    made.connect()
    await made.pass(7)
    made.asked.length = 0
    made.set({ isHearing: false })
    await made.pass(1)
    expect(made.asked).toHaveLength(1)
    await made.pass(6)
    expect([made.asked.length, made.mirror.reads]).toEqual([3, 3])
  })

  test('does not end by a look that fails', async () => {
    const made = makeStreams()
    const client = made.connect()
    made.lives.set('a', { kind: 'ended', reason: 'operator' })
    made.set({ isAway: true })
    await made.streams.look()
    expect(client.told()).toEqual([])
    made.set({ isAway: false })
    await made.streams.look()
    expect(client.told()).toEqual(['session-ended operator'])
  })

  test('is looked up again within three seconds after a look that failed, as when Redis has just come back', async () => {
    const made = makeStreams()
    const client = made.connect()
    await made.pass(1)
    made.set({ isAway: true })
    await made.streams.look()
    made.set({ isAway: false })
    made.lives.set('a', { kind: 'ended', reason: 'operator' })
    // Another session that is looked up meanwhile makes up for nothing.
    made.connect({ session: 'b' })
    await made.pass(3)
    expect(client.told()).toEqual(['session-ended operator'])
  })

  test('is looked up every three seconds after a look that failed, until one succeeds', async () => {
    const made = makeStreams()
    const { told } = made.connect()
    await made.pass(1)
    made.set({ isAway: true })
    await made.streams.look()
    made.set({ isAway: false })
    made.asked.length = 0
    await made.pass(58)
    expect(made.asked).toEqual([['a']])
    made.set({ isAway: true })
    await made.streams.look()
    made.set({ isAway: false })
    made.lives.set('a', { kind: 'ended', reason: 'signed-out' })
    await made.pass(3)
    expect(told()).toEqual(['session-ended signed-out'])
  })

  test('is looked up once more after a look that was under way', async () => {
    const reading = Promise.withResolvers<void>()
    let reads = 0
    const readLives = async () => {
      reads++
      await reading.promise
      return [{ kind: 'alive', leftMs: 1 } as const]
    }
    const made = makeStreams({ store: { readLives } })
    made.connect()
    const looks = [made.streams.look(), made.streams.look(), made.streams.look()]
    reading.resolve()
    await Promise.all(looks)
    expect(reads).toBe(2)
  })

  test('is not looked up any more when its pages have gone', async () => {
    const made = makeStreams()
    made.leave(made.connect())
    await made.streams.look()
    expect(made.asked).toEqual([])
  })

  test('is one of many that are asked in portions', async () => {
    const made = makeStreams()
    for (let which = 0; which < 450; which++) made.connect({ session: `${which}` })
    await made.streams.look()
    expect(made.asked.map(({ length }) => length)).toEqual([200, 200, 50])
  })
})

describe('a replica that stops', () => {
  test('sends all clients away, spread over ten seconds, and those that come later', async () => {
    const made = makeStreams()
    const clients = Array.from({ length: 120 }, (_, which) => made.connect({ session: `${which}` }))
    made.streams.drain()
    await settle()
    clients.push(made.connect({ session: 'late' }))
    const retries = clients.map(({ retriesMs }) => retriesMs().at(-1) ?? 0)
    expect(clients.map(({ state }) => state())).toEqual(Array(121).fill('ended'))
    expect(Math.min(...retries)).toBeGreaterThanOrEqual(1000)
    expect(Math.max(...retries)).toBeLessThanOrEqual(10_000)
    expect(new Set(retries).size).toBeGreaterThan(60)
    expect([made.streams.size, new Set(made.closed)]).toEqual([0, new Set(['draining'])])
  })

  test('closes what is still open in the end', () => {
    const made = makeStreams()
    const [ended, open] = [made.connect({ session: 'b' }), made.connect()]
    made.streams.end('b', 'operator')
    made.streams.close()
    const states = [ended, open].map(({ state }) => state())
    expect([states, made.isTicking()]).toEqual([['destroyed', 'destroyed'], false])
  })
})

test('the timer runs only while streams are open', async () => {
  const made = makeStreams()
  expect(made.isTicking()).toBe(false)
  const client = made.connect()
  expect(made.isTicking()).toBe(true)
  made.leave(client)
  await made.pass(1)
  expect(made.isTicking()).toBe(false)
  made.connect()
  expect(made.isTicking()).toBe(true)
})
