import { type Condition } from '../../core/access/condition.ts'
import { createNetworks, parseNetwork } from '../networks.ts'
import type { ConditionSource } from './condition-source.ts'
import { compileEntries, type NamedBy, refuseCutNames } from './named-users.ts'

/** Compiles a condition. Every fault adds a problem that names the place and quotes no value. */
export function compileCondition(
  source: ConditionSource,
  where: string,
  problems: string[],
): Condition {
  const parts = [
    ...usersOf(source, where, problems),
    ...claimsOf(source, where, problems),
    ...networksOf(source, where, problems),
    ...KINDS_OF_SEVERAL.flatMap((kind) => membersOf(source, kind, where, problems)),
  ]
  const [only] = parts
  return parts.length === 1 && only ? only : { kind: 'all', of: parts }
}

const NAMED_BY = ['groups', 'users', 'emails', 'emailDomains'] as const satisfies NamedBy[]
const KINDS_OF_SEVERAL = ['all', 'any', 'none'] as const

function usersOf(source: ConditionSource, where: string, problems: string[]): Condition[] {
  return NAMED_BY.flatMap((kind) => {
    const entries = source[kind]
    return entries
      ? { kind, values: compileEntries(kind, entries, `${where}.${kind}`, problems) }
      : []
  })
}

/** Standard claims that every identity has as a kind of its own. */
const KIND_OF_CLAIM: ReadonlyMap<string, NamedBy> = new Map([
  ['sub', 'users'],
  ['email', 'emails'],
  ['groups', 'groups'],
])

function claimsOf({ claims = {} }: ConditionSource, where: string, problems: string[]) {
  return Object.entries(claims).map(([name, given]): Condition => {
    const values = [given].flat().map(String)
    const place = `${where}.claims.${name}`
    const kind = KIND_OF_CLAIM.get(name)
    if (kind) return { kind, values: compileEntries(kind, values, place, problems) }
    refuseCutNames(values, place, problems)
    return { kind: 'claim', name, values: new Set(values) }
  })
}

function networksOf({ networks }: ConditionSource, where: string, problems: string[]): Condition[] {
  if (!networks) return []
  const parsed = networks.flatMap((entry, index) => {
    // Refuses a zone, because addresses of clients are compared without theirs.
    const network = entry.includes('%') ? undefined : parseNetwork(entry)
    if (!network) {
      problems.push(
        `${where}.networks.${index}: is not a network: write 192.0.2.0/24 or a single address`,
      )
    }
    return network ?? []
  })
  return [{ kind: 'networks', networks: createNetworks(parsed) }]
}

function membersOf(
  source: ConditionSource,
  kind: (typeof KINDS_OF_SEVERAL)[number],
  where: string,
  problems: string[],
): Condition[] {
  const members = source[kind]
  if (!members) return []
  const of = members.map((member, index) =>
    compileCondition(member, `${where}.${kind}.${index}`, problems),
  )
  return [{ kind, of }]
}
