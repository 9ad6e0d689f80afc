import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { BEFORE_ALL, isLater } from '../../../src/core/event-id.ts'
import { type EventLog, LOGGED_MS, MAX_LOGGED } from '../../../src/store/event-log.ts'
import { describeContract, SHORT_MS } from './contract.ts'

/** More than one reply of Redis holds. */
const MANY = 250

export const describeEventLog = describeContract<EventLog>('a log of broadcasts', (given) => {
  const newest = async () => (await given.port.readAfter(BEFORE_ALL)).at(-1)?.id ?? BEFORE_ALL

  async function append(count: number, floor = BEFORE_ALL) {
    const sealed = Array.from({ length: count }, () => randomBytes(64))
    const appended = await Promise.all(sealed.map((each) => given.port.append(each, floor)))
    return appended.map((each, at) => ({ ...each, sealed: sealed[at] as Buffer }))
  }

  test('an entry is read as it was written, after the one before it and not after itself', async () => {
    const before = await newest()
    const [entry] = await append(1)
    const { id, sealed, previous } = entry as NonNullable<typeof entry>
    expect(previous).toBe(before)
    expect(await given.port.readAfter(previous)).toEqual([{ id, sealed }])
    expect(await given.port.readAfter(id)).toEqual([])
  })

  test('entries written at once are read once each, in the order in which each names the one before it', async () => {
    const before = await newest()
    const written = await append(MANY)
    const read = await given.port.readAfter(before)
    expect(read.map(({ sealed }) => sealed)).toHaveLength(MANY)
    let previous = before
    for (const { id, sealed } of read) {
      expect(isLater(id, previous)).toBe(true)
      expect(written.find((each) => each.id === id)).toEqual({ id, sealed, previous })
      previous = id
    }
  })

  test('an entry is numbered after the floor, and those after it go on from there', async () => {
    await append(1)
    const [ms = 0] = (await newest()).split('-').map(Number)
    const floor = `${ms + SHORT_MS}-7`
    const [first] = await append(1, floor)
    const [second] = await append(1)
    expect(isLater(first?.id ?? '', floor)).toBe(true)
    expect(second?.previous).toBe(first?.id)
    expect(isLater(second?.id ?? '', first?.id ?? '')).toBe(true)
  })

  test('the oldest entries above the number go', async () => {
    const written = await append(MAX_LOGGED + MANY)
    const read = await given.port.readAfter(BEFORE_ALL)
    const last = written.toSorted((a, b) => (isLater(a.id, b.id) ? 1 : -1)).slice(-MAX_LOGGED)
    expect(read).toEqual(last.map(({ id, sealed }) => ({ id, sealed })))
  })

  test('entries of more than an hour ago are gone', async () => {
    await append(2)
    await given.elapse(LOGGED_MS + 2 * SHORT_MS)
    expect(await given.port.readAfter(BEFORE_ALL)).toEqual([])
    const [entry] = await append(1)
    expect((await given.port.readAfter(BEFORE_ALL)).map(({ id }) => id)).toEqual([entry?.id])
  })
})
