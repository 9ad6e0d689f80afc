/** Numbers that depend on the seed alone. */
export interface Random {
  /** Returns a number in [min, max). */
  readonly between: (min: number, max: number) => number
  readonly pick: <T>(from: readonly T[]) => T
  readonly isLikely: (chance: number) => boolean
  /** Another sequence, whose numbers do not depend on how many are taken from this one. */
  readonly fork: (name: string) => Random
}

/** Mulberry32 over an FNV-1a hash of the seed. */
export function createRandom(seed: string): Random {
  let state = hash(seed)
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    between: (min, max) => min + next() * (max - min),
    pick: (from) => from[Math.floor(next() * from.length)] as (typeof from)[number],
    isLikely: (chance) => next() < chance,
    fork: (name) => createRandom(`${seed}/${name}`),
  }
}

function hash(text: string): number {
  let value = 0x811c9dc5
  for (const character of text) value = Math.imul(value ^ character.charCodeAt(0), 0x01000193)
  return value | 0
}
