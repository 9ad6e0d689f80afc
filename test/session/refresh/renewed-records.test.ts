import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createRenewedRecords } from '../../../src/session/refresh/renewed-records.ts'
import { createMemoryStore } from '../../../src/store/memory/store.ts'
import { ROOMY } from '../../support/memory-bounds.ts'
import { useMonotonicClock } from '../../support/monotonic-clock.ts'
import { outage } from '../../support/started-sessions.ts'

const renewed = (text: string) => ({
  identity: Buffer.from(`s-${text}`),
  tokens: Buffer.from(`t-${text}`),
})
const DAY_MS = 86_400_000

const start = async () => {
  let store = createMemoryStore(ROOMY)
  let isAway = false
  let calls = 0
  const startWith = async (text: string) => {
    store = createMemoryStore(ROOMY)
    await store.create('a', { ...renewed(text), metadata: Buffer.from('metadata') }, DAY_MS)
  }
  await startWith('0')
  const replica = () =>
    createRenewedRecords({
      roundMs: 1,
      replace: async (...given) => {
        calls += 1
        return isAway ? outage() : store.replace(...given)
      },
    })
  return {
    startWith,
    replica,
    one: replica(),
    calls: () => calls,
    goAway: () => {
      isAway = true
    },
    end: () => store.end('a', DAY_MS, 'operator'),
    found: async () => String((await store.read('a', ['tokens'])).tokens),
  }
}

const step = (from: string, to: string) => ['a', renewed(to), renewed(from).tokens] as const

describe('C65: renewals that a store with older data has never seen', () => {
  const clock = useMonotonicClock()

  test('are written again', async () => {
    const { one, startWith, found } = await start()
    expect(await one.write(...step('0', '1'))).toBe('replaced')
    expect(await one.write(...step('1', '2'))).toBe('replaced')
    for (const older of ['0', '1', '2']) {
      await startWith(older)
      await one.restore()
      expect(await found()).toBe('t-2')
    }
  })

  test('are kept without the chunk that their bytes came in', async () => {
    const replaced: Buffer[] = []
    const records = createRenewedRecords({
      replace: async (_digest, { identity, tokens }, before) => {
        replaced.push(identity, tokens, before)
        return 'replaced'
      },
    })
    const chunk = Buffer.alloc(64 * 1024)
    const cut = (at: number) => chunk.subarray(at, at + 100)
    await records.write('a', { identity: cut(0), tokens: cut(100) }, cut(200))
    await records.restore()
    const [, , , ...restored] = replaced
    expect(restored.map(({ buffer }) => buffer.byteLength)).toEqual([100, 100, 100])
  })

  test('in their order also where replicas have taken turns', async () => {
    const { one, replica, startWith, found } = await start()
    const other = replica()
    await one.write(...step('0', '1'))
    await other.write(...step('1', '2'))
    await startWith('0')
    await Promise.all([other.restore(), one.restore()])
    expect(await found()).toBe('t-2')
  })

  test('come before one that is written now', async () => {
    const { one, startWith, found } = await start()
    await one.write(...step('0', '1'))
    await startWith('0')
    expect([await one.write(...step('1', '2')), await found()]).toEqual(['replaced', 't-2'])
  })

  test('are written over nothing else', async () => {
    const { one, startWith, found } = await start()
    await one.write(...step('0', '1'))
    await startWith('another')
    await one.restore()
    expect([await one.write(...step('1', '2')), await found()]).toEqual(['changed', 't-another'])
  })

  test('bring no session back', async () => {
    const { one, end, found } = await start()
    await one.write(...step('0', '1'))
    await end()
    await one.restore()
    expect([await found(), await one.write(...step('1', '2'))]).toEqual(['undefined', 'gone'])
  })

  test('are forgotten after ten minutes, and all but the last five', async () => {
    const { one, startWith, found, calls } = await start()
    for (let at = 0; at < 6; at += 1) await one.write(...step(`${at}`, `${at + 1}`))
    await startWith('0')
    await one.restore()
    expect(await found()).toBe('t-0')
    await startWith('1')
    await one.restore()
    expect(await found()).toBe('t-6')
    clock.elapse(10 * 60 * 1000 + 1)
    // The cache asks its clock once in a millisecond.
    await pause(5)
    const before = calls()
    await one.restore()
    expect(calls()).toBe(before)
  })

  test('are left where the store is away again', async () => {
    const { one, goAway, found } = await start()
    await one.write(...step('0', '1'))
    goAway()
    await one.restore()
    expect(await found()).toBe('t-1')
  })
})
