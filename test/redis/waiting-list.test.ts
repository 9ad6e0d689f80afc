import { expect, test } from 'vitest'
import { createWaitingList, type Links } from '../../src/redis/waiting-list.ts'

interface Named extends Links<Named> {
  readonly name: string
}

/** Fills a list with one entry for each letter. */
function listOf(names: string) {
  const list = createWaitingList<Named>()
  const entries = new Map<string, Named>()
  for (const name of names) {
    const entry: Named = { name, previous: undefined, next: undefined, isListed: false }
    entries.set(name, entry)
    list.add(entry)
  }
  return { list, remove: (name: string) => list.remove(entries.get(name) as Named), entries }
}

test.for([
  ['nothing', '', 'abcd', 'a', 'd'],
  ['the oldest', 'a', 'bcd', 'b', 'd'],
  ['the latest', 'd', 'abc', 'a', 'c'],
  ['two neighbours', 'bc', 'ad', 'a', 'd'],
  ['all but one, in another order', 'cad', 'b', 'b', 'b'],
  ['all', 'badc', '', undefined, undefined],
] as const)('a list without %s keeps the others in order', ([, removed, left, oldest, latest]) => {
  const { list, remove, entries } = listOf('abcd')
  expect([...removed].map(remove)).toEqual([...removed].map(() => true))
  expect([...removed].map(remove), 'twice').toEqual([...removed].map(() => false))
  expect(list.toArray().map(({ name }) => name)).toEqual([...left])
  expect([list.oldest?.name, list.latest?.name, list.size]).toEqual([oldest, latest, left.length])
  for (const name of removed)
    expect(entries.get(name), 'keeps no neighbour alive').toMatchObject({
      previous: undefined,
      next: undefined,
    })
})

test('an entry that has left may come back, as the latest', () => {
  const { list, remove, entries } = listOf('abc')
  remove('a')
  list.add(entries.get('a') as Named)
  expect(list.toArray().map(({ name }) => name)).toEqual(['b', 'c', 'a'])
})
