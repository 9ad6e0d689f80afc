import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createMirror } from '../../src/events/mirror.ts'
import { eventBytes } from '../../src/events/sse-text.ts'
import { isAddressed, type MadeClient, makeStreams, settle } from '../support/made-streams.ts'

const OTHER = 'other.example.com'

describe('a broadcast', () => {
  test.for([
    ['all', {}, [1, 1, 1]],
    ['a user', { user: 'alice' }, [1, 1, 0]],
    ['a host', { host: OTHER }, [0, 1, 1]],
    ['a user at a host', { user: 'alice', host: OTHER }, [0, 1, 0]],
    ['nobody here', { user: 'Alice' }, [0, 0, 0]],
  ] as const)('for %s reaches the pages that it is meant for', async ([, audience, received]) => {
    const made = makeStreams()
    const clients = [
      made.connect({ session: 'a' }),
      made.connect({ session: 'a', host: OTHER }),
      made.connect({ session: 'b', subject: 'bob', host: OTHER }),
    ]
    made.broadcast(audience)
    await settle()
    expect(clients.map(({ ids }) => ids().length)).toEqual(received)
    expect(made.sent.broadcast).toBe(received.reduce<number>((sum, count) => sum + count, 0))
  })

  test('is written to many streams in portions, and meanwhile other work goes on', async () => {
    const made = makeStreams()
    const clients = Array.from({ length: 120 }, (_, which) => made.connect({ session: `${which}` }))
    const received = () => clients.filter(({ ids }) => ids().length > 0).length
    made.broadcast()
    await Promise.resolve()
    await Promise.resolve()
    expect(received()).toBe(50)
    made.broadcast()
    await settle(8)
    expect(received()).toBe(120)
    expect(clients.every(({ ids }) => `${ids()}` === '5-1,5-2')).toBe(true)
  })

  test('that comes with many others is taken at the pace of each reader', async () => {
    const made = makeStreams()
    const [slow, other] = [made.connect({ isReading: false }), made.connect()]
    const ids = [made.broadcast().id]
    await settle()
    for (let count = 0; count < 40; count++) ids.push(made.broadcast({}, 4096).id)
    await settle(8)
    for (let count = 0; count < 40; count++) ids.push(made.broadcast({}, 4096).id)
    await settle(16)
    expect(other.ids()).toEqual(ids)
    expect([slow.state(), slow.ids().length]).toEqual(['open', 5])
    slow.read(true)
    await settle(16)
    expect(slow.ids()).toEqual(ids)
  })

  test('reaches streams from before a loss of data at Redis, which numbers anew', async () => {
    const mirror = createMirror(() => 0)
    const made = makeStreams({
      broadcasts: {
        after: mirror.after,
        get latest() {
          return mirror.latest
        },
        isBehind: false,
        catchUp: async () => undefined,
      },
    })
    const clients = [made.connect(), made.connect({ lastEventId: '9-1' })]
    const ids = ['9-1', '9-2', '3-1', '3-2']
    for (const id of ids) {
      const bytes = eventBytes('notice', 1, id)
      const held = { id, broadcast: { event: 'notice' }, bytes, sentAt: 1, name: id }
      mirror.add(held)
      made.streams.deliver(held)
      await settle()
    }
    expect(clients.map((client) => client.ids())).toEqual([ids, ids.slice(1)])
  })

  test('more than a reader takes ends its stream', async () => {
    const made = makeStreams()
    const slow = made.connect({ isReading: false })
    for (let count = 0; count < 20; count++) {
      made.broadcast({}, 4096)
      await settle()
    }
    expect([slow.state(), made.closed]).toEqual(['destroyed', ['slow']])
  })
})

describe('a client that comes back', () => {
  test.for([
    ['missed two', '5-1', ['5-2', '5-3', '5-4']],
    ['missed none', '5-3', ['5-4']],
    ['names one that this replica has yet to hear of', '5-4', []],
    ['names one that no log has', '99999999999999-0', ['5-4']],
    ['names one from before all', '0-0', ['5-1', '5-2', '5-3', '5-4']],
  ] as const)('and %s gets what came after', async ([, lastEventId, ids]) => {
    const made = makeStreams()
    for (let count = 0; count < 3; count++) made.hold()
    const client = made.connect({ lastEventId })
    made.broadcast()
    await settle()
    expect(client.ids()).toEqual(ids)
  })

  test('reads what it missed at its own pace, and what comes meanwhile after it', async () => {
    const made = makeStreams()
    for (let count = 0; count < 20; count++) made.hold({}, 4096)
    const client = made.connect({ lastEventId: '0-0', isReading: false })
    await settle()
    expect(client.ids()).toHaveLength(4)
    for (let count = 0; count < 10; count++) {
      made.broadcast({}, 4096)
      await settle()
    }
    expect([client.ids().length, client.state()]).toEqual([4, 'open'])
    client.read(true)
    await settle(8)
    expect(client.ids()).toEqual(made.mirror.held.map(({ id }) => id))
  })

  test('and leaves meanwhile is written nothing more', async () => {
    const made = makeStreams()
    for (let count = 0; count < 20; count++) made.hold({}, 4096)
    const client = made.connect({ lastEventId: '0-0', isReading: false })
    await settle()
    made.leave(client)
    client.read(true)
    await settle()
    expect(client.ids()).toHaveLength(4)
  })

  test('and takes nothing for half a minute is cut off', async () => {
    const made = makeStreams()
    for (let count = 0; count < 20; count++) made.hold({}, 4096)
    const client = made.connect({ lastEventId: '0-0', isReading: false })
    await made.pass(30)
    expect(client.state()).toBe('open')
    await made.pass(2)
    expect([client.state(), made.closed]).toEqual(['destroyed', ['slow']])
  })

  test('and takes a little from time to time goes on', async () => {
    const made = makeStreams()
    for (let count = 0; count < 20; count++) made.hold({}, 4096)
    const client = made.connect({ lastEventId: '0-0', isReading: false })
    for (const taken of [8, 12, 16]) {
      await made.pass(25)
      client.read()
      await settle()
      expect([client.state(), client.ids().length]).toEqual(['open', taken])
    }
  })

  test('is cut off by no comment, however much one broadcast holds', async () => {
    const made = makeStreams()
    made.hold({}, 70_000)
    const client = made.connect({ lastEventId: '0-0', isReading: false })
    await made.pass(16)
    expect([client.state(), client.comments()]).toEqual(['open', 1])
  })
})

describe('before the log has been read', () => {
  test.for([
    ['that names an identifier that no log has begins there', '99999999999999-0', ['5-2']],
    ['begins behind what is in the log', undefined, ['5-2']],
    ['that has missed something gets it then', '0-0', ['5-1', '5-2']],
  ] as const)('a client %s', async ([, lastEventId, ids]) => {
    const made = makeStreams()
    made.mirror.isRead = false
    const client = made.connect(lastEventId === undefined ? {} : { lastEventId })
    expect(client.text().includes('id:')).toBe(lastEventId !== undefined)
    // The first read tells each entry before it is over.
    made.broadcast()
    made.mirror.isRead = true
    await made.pass(1)
    made.broadcast()
    await settle()
    expect(client.ids()).toEqual(ids)
    expect(client.text().includes('\n\nid: 5-1\n\n')).toBe(lastEventId !== '0-0')
  })

  test('many clients are served in portions once it has been', async () => {
    const made = makeStreams()
    made.mirror.isRead = false
    const clients = Array.from({ length: 120 }, (_, which) => made.connect({ session: `${which}` }))
    const settled = () => clients.filter(({ text }) => text().includes('id: ')).length
    made.mirror.isRead = true
    const passing = made.pass(1)
    expect(settled()).toBe(50)
    await passing
    expect(settled()).toBe(120)
  })

  test('a client also gets what comes between that and the next second', async () => {
    const made = makeStreams()
    made.mirror.isRead = false
    const clients = [made.connect(), made.connect({ lastEventId: '0-0' })]
    made.hold()
    made.mirror.isRead = true
    made.broadcast()
    await made.pass(1)
    expect(clients.map(({ ids }) => ids())).toEqual([['5-2'], ['5-1', '5-2']])
  })
})

describe('a client that connects before the log has been read', () => {
  test('and leaves before that too is written nothing more', async () => {
    const made = makeStreams()
    made.mirror.isRead = false
    const client = made.connect()
    made.leave(client)
    made.mirror.isRead = true
    made.connect()
    await made.pass(1)
    expect(client.text()).not.toContain('id:')
  })

  test('and does not read is written nothing more after it was cut off', async () => {
    const made = makeStreams()
    made.mirror.isRead = false
    const client = made.connect({ isReading: false })
    made.mirror.isRead = true
    for (let count = 0; count < 40; count++) made.broadcast({}, 4096)
    await settle()
    expect([client.state(), made.closed]).toEqual(['destroyed', ['slow']])
    expect(client.unreadBytes()).toBeLessThan(70 * 1024)
  })
})

const AUDIENCES = [
  {},
  { user: 'alice' },
  { user: 'bob' },
  { host: OTHER },
  { user: 'bob', host: OTHER },
] as const
const SUBJECTS = ['alice', 'bob'] as const
const HOSTS = ['app.example.com', OTHER] as const

type Step =
  | { readonly do: 'open'; readonly subject: 0 | 1; readonly host: 0 | 1; readonly back: number }
  | { readonly do: 'broadcast'; readonly audience: number; readonly size: number }
  | { readonly do: 'end' | 'leave' | 'stop' | 'read' | 'settle' | 'round'; readonly which: number }

const bit = fc.constantFrom<(0 | 1)[]>(0, 1)
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('open' as const), subject: bit, host: bit, back: fc.nat(4) }),
    fc.record({
      do: fc.constant('broadcast' as const),
      audience: fc.nat(AUDIENCES.length - 1),
      size: fc.constantFrom(1, 2000, 4096, 9000),
    }),
    fc.record({
      do: fc.constantFrom('end', 'leave', 'stop', 'read', 'settle', 'round'),
      which: fc.nat(5),
    }),
  ),
  { maxLength: 80 },
)

test('in any order of streams, ends, replays and slow readers, each gets its own broadcasts once and in order', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all: readonly Step[]) => {
      const made = makeStreams()
      const opened: { client: MadeClient; session: string; from: number }[] = []
      for (const step of all) {
        switch (step.do) {
          case 'open': {
            const session = `${SUBJECTS[step.subject]} ${opened.length % 3}`
            const { held } = made.mirror
            const from = Math.max(0, held.length - step.back)
            const lastEventId = from === 0 ? '0-0' : held[from - 1]?.id
            const client = made.connect({
              session,
              subject: SUBJECTS[step.subject],
              host: HOSTS[step.host],
              ...(step.back > 0 && lastEventId !== undefined && { lastEventId }),
            })
            opened.push({ client, session, from: step.back > 0 ? from : held.length })
            break
          }
          case 'broadcast':
            made.broadcast(AUDIENCES[step.audience], step.size)
            break
          case 'end':
            made.streams.end(opened[step.which]?.session ?? '', 'operator')
            break
          case 'leave': {
            const left = opened[step.which]?.client
            if (left) made.leave(left)
            break
          }
          case 'stop':
            opened[step.which]?.client.stop()
            break
          case 'read':
            opened[step.which]?.client.read(true)
            break
          case 'settle':
            await settle()
            break
          case 'round':
            await made.pass(1)
            break
        }
      }
      for (const { client } of opened) client.read(true)
      await settle(100)
      for (const { client, from } of opened) {
        const meant = made.mirror.held.slice(from).filter((held) => isAddressed(client, held))
        const ids = meant.map(({ id }) => id)
        const got = client.ids()
        // A stream that ended before has a beginning of them without a gap.
        const isWhole = client.state() === 'open'
        expect(got).toEqual(isWhole ? ids : ids.slice(0, got.length))
        expect(client.unreadBytes()).toBeLessThan(64 * 1024 + 10_000)
      }
    }),
    { numRuns: 300 },
  )
})
