import type { RuleSource } from '../../../config/rules/rules-file.ts'
import type { Note } from '../../installation.ts'
import type { MatchedRequests } from '../../traefik/matched-requests.ts'
import { patternsOf } from '../../traefik/path-patterns.ts'
import type { WhoMayEnter } from './who-may-enter.ts'

/** Rule of the old service. */
export interface OldRule {
  readonly name: string
  readonly rule: string
  readonly action: string
  /** Lists of its own, which override those of all. */
  readonly who: WhoMayEnter | undefined
  readonly provider: string
  /** Notes on its lists. */
  readonly notes: readonly Note[]
}

/** Demands where no rule says otherwise. */
export interface Defaults {
  readonly action: string
  readonly who: WhoMayEnter
  readonly provider: string
  /** Notes on the lists of all. */
  readonly notes: readonly Note[]
}

export interface CarriedRule {
  readonly rules: readonly RuleSource[]
  /** Rules for more requests than the old one, because patterns cannot tell those apart; they stand behind all others. */
  readonly wider: readonly RuleSource[]
  readonly notes: readonly Note[]
}

export const NO_RULE: CarriedRule = { rules: [], wider: [], notes: [] }

export function todo(old: OldRule, text: string): CarriedRule {
  return { rules: [], wider: [], notes: [note(old, 'todo', text)] }
}

export function nameOf({ name }: OldRule): string {
  return `rule.${name}`.slice(0, 60).trim()
}

export function place(old: OldRule, { hosts, methods }: MatchedRequests) {
  return {
    name: nameOf(old),
    ...(hosts && { hosts: [...hosts] }),
    ...(methods && { methods: [...methods] }),
  }
}

export function pathsOf(patterns: readonly (readonly string[] | undefined)[] | undefined) {
  const paths = [...new Set((patterns ?? []).flatMap((each) => each ?? []))]
  return paths.length === 0 || paths.includes('/**') ? {} : { paths }
}

export function missing({ others, paths = [] }: MatchedRequests): string {
  const unsayable = paths.filter((each) => patternsOf(each) === undefined)
  return [...new Set([...others, ...unsayable.map(({ path }) => path)])].join(', ')
}

export function note({ name }: OldRule, kind: Note['kind'], text: string): Note {
  return { kind, option: `rule.${name}`, text }
}
