import { parseEmail } from '../../core/access/allowed-users.ts'
import { type Condition } from '../../core/access/condition.ts'
import { attempt } from '../attempt.ts'
import { createNetworks, parseNetwork } from '../networks.ts'
import { refuseCutEntries } from '../settings/distinguished-name.ts'
import type { ConditionSource } from './condition-source.ts'

/** Compiles a condition. Every fault adds a problem that names the place and quotes no value. */
export function compileCondition(
  source: ConditionSource,
  where: string,
  problems: string[],
): Condition {
  const parts = [
    ...textKindsOf(source, where, problems),
    ...claimsOf(source, where, problems),
    ...networksOf(source, where, problems),
    ...KINDS_OF_SEVERAL.flatMap((kind) => membersOf(source, kind, where, problems)),
  ]
  const [only] = parts
  return parts.length === 1 && only ? only : { kind: 'all', of: parts }
}

const TEXT_KINDS = ['groups', 'users', 'emails', 'emailDomains'] as const
const KINDS_OF_SEVERAL = ['all', 'any', 'none'] as const

type TextKind = (typeof TEXT_KINDS)[number]

function textKindsOf(source: ConditionSource, where: string, problems: string[]): Condition[] {
  return TEXT_KINDS.flatMap((kind) => {
    const entries = source[kind]
    return entries ? compileTexts(kind, entries, `${where}.${kind}`, problems) : []
  })
}

/** Compares addresses and domains in lower case, everything else as it is written. */
function compileTexts(
  kind: TextKind,
  entries: readonly string[],
  where: string,
  problems: string[],
): Condition {
  if (kind === 'groups') refuseCutNames(entries, where, problems)
  if (kind === 'groups' || kind === 'users') return { kind, values: new Set(entries) }
  for (const [index, entry] of entries.entries()) {
    const address = kind === 'emails' ? entry : `a@${entry}`
    if (!parseEmail(address)) problems.push(`${where}.${index}: ${NO_ADDRESS[kind]}`)
  }
  return { kind, values: new Set(entries.map((entry) => entry.toLowerCase())) }
}

const NO_ADDRESS = {
  emails: 'is not an e-mail address: write ada@example.com, in ASCII',
  emailDomains: 'is not a domain: write example.com, without @',
} as const

/** Standard claims that every identity has as a kind of its own. */
const KIND_OF_CLAIM: ReadonlyMap<string, TextKind> = new Map([
  ['sub', 'users'],
  ['email', 'emails'],
  ['groups', 'groups'],
])

function claimsOf({ claims = {} }: ConditionSource, where: string, problems: string[]) {
  return Object.entries(claims).map(([name, given]): Condition => {
    const values = [given].flat().map(String)
    const place = `${where}.claims.${name}`
    const kind = KIND_OF_CLAIM.get(name)
    if (kind) return compileTexts(kind, values, place, problems)
    refuseCutNames(values, place, problems)
    return { kind: 'claim', name, values: new Set(values) }
  })
}

function refuseCutNames(entries: readonly string[], where: string, problems: string[]): void {
  attempt(where, 'see configuration.md', problems, () => refuseCutEntries(entries))
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
